package cache

// NamespaceCount is the number of namespaces that c knows.
func NamespaceCount[K comparable, V any](c *Cache[K, V]) int {
	n := c.c.namespaces
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.living)
}

// Unsettled is the number of entries that the store holds now, before the eviction catches up with the writes.
func Unsettled[K comparable, V any](c *Cache[K, V]) int { return c.c.engine.store.EstimatedSize() }

// Gathered is the number of loads that are in the queue of the bulk loader.
func Gathered[K comparable, V any](c *Cache[K, V]) int {
	g := c.c.bulk
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.loads) + len(g.refresh)
}
