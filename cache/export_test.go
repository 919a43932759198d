package cache

// NamespaceCount is the number of namespaces that c knows.
func NamespaceCount[K comparable, V any](c *Cache[K, V]) int {
	n := c.c.namespaces
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.living)
}
