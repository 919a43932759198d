package cache

// NamespaceCount is the number of namespaces that c knows.
func NamespaceCount[K comparable, V any](c *Cache[K, V]) int {
	n := c.c.namespaces
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.living)
}

// Gathered is the number of loads that are in the queue of the bulk loader.
func Gathered[K comparable, V any](c *Cache[K, V]) int {
	g := c.c.bulk
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.loads) + len(g.refresh)
}
