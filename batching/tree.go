package batching

import "time"

// tree holds requests by deadline, so that the questions of a deadline-aware choice (who is first, how many can wait until
// then) cost O(log n) however long the queue is. It is a treap (Seidel and Aragon, Algorithmica 1996): a search tree by deadline that
// is a heap by random numbers, through links in the items. Requests with equal deadlines stay in the order of
// insertion.
type tree[K comparable, Req, Resp any] struct {
	root *item[K, Req, Resp]
	last *item[K, Req, Resp] // the latest deadline: most requests come behind it
	seed uint32
}

// branch is an item's place in a tree.
type branch[K comparable, Req, Resp any] struct {
	left, right, parent *item[K, Req, Resp]
	order               uint32 // random; no child has more than its parent
	n                   int    // requests in the subtree
	weight              int64  // and their weight
}

func (t *tree[K, Req, Resp]) insert(it *item[K, Req, Resp]) {
	t.seed = t.seed*1664525 + 1013904223 // Numerical Recipes' generator; its upper bits decide
	it.branch = branch[K, Req, Resp]{order: t.seed, n: 1, weight: it.weight}
	if t.root == nil {
		t.root, t.last = it, it
		return
	}
	if at := t.last; it.target >= at.target {
		at.branch.right, it.branch.parent, t.last = it, at, it
	} else {
		for at = t.root; it.branch.parent == nil; {
			side := &at.branch.left
			if it.target >= at.target {
				side = &at.branch.right
			}
			if *side == nil {
				*side, it.branch.parent = it, at
			} else {
				at = *side
			}
		}
	}
	for at := it.branch.parent; at != nil; at = at.branch.parent {
		at.branch.n++
		at.branch.weight += it.weight
	}
	for it.branch.parent != nil && it.branch.parent.branch.order < it.branch.order {
		t.lift(it)
	}
}

func (t *tree[K, Req, Resp]) remove(it *item[K, Req, Resp]) {
	if t.last == it {
		t.last = previous(it)
	}
	for it.branch.left != nil && it.branch.right != nil {
		if it.branch.left.branch.order > it.branch.right.branch.order {
			t.lift(it.branch.left)
		} else {
			t.lift(it.branch.right)
		}
	}
	child := it.branch.left
	if child == nil {
		child = it.branch.right
	}
	t.replace(it, child)
	for at := it.branch.parent; at != nil; at = at.branch.parent {
		at.branch.n--
		at.branch.weight -= it.weight
	}
	it.branch = branch[K, Req, Resp]{}
}

// replace puts child, which may be nil, where it was.
func (t *tree[K, Req, Resp]) replace(it, child *item[K, Req, Resp]) {
	parent := it.branch.parent
	switch {
	case parent == nil:
		t.root = child
	case parent.branch.left == it:
		parent.branch.left = child
	default:
		parent.branch.right = child
	}
	if child != nil {
		child.branch.parent = parent
	}
}

// lift rotates it into the place of its parent.
func (t *tree[K, Req, Resp]) lift(it *item[K, Req, Resp]) {
	parent := it.branch.parent
	t.replace(parent, it)
	var moved *item[K, Req, Resp]
	if parent.branch.left == it {
		moved = it.branch.right
		parent.branch.left, it.branch.right = moved, parent
	} else {
		moved = it.branch.left
		parent.branch.right, it.branch.left = moved, parent
	}
	if moved != nil {
		moved.branch.parent = parent
	}
	parent.branch.parent = it
	it.branch.n, it.branch.weight = parent.branch.n, parent.branch.weight
	parent.branch.n, parent.branch.weight = 1, parent.weight
	for _, child := range []*item[K, Req, Resp]{parent.branch.left, parent.branch.right} {
		if child != nil {
			parent.branch.n += child.branch.n
			parent.branch.weight += child.branch.weight
		}
	}
}

// first is the request with the earliest deadline, nil if there is none.
func (t *tree[K, Req, Resp]) first() *item[K, Req, Resp] {
	at := t.root
	for at != nil && at.branch.left != nil {
		at = at.branch.left
	}
	return at
}

// from counts the requests with a deadline at d or later, and returns the first of them.
func (t *tree[K, Req, Resp]) from(d time.Duration) (n int, weight int64, first *item[K, Req, Resp]) {
	for at := t.root; at != nil; {
		if at.target < d {
			at = at.branch.right
			continue
		}
		first = at
		n++
		weight += at.weight
		if right := at.branch.right; right != nil {
			n += right.branch.n
			weight += right.branch.weight
		}
		at = at.branch.left
	}
	return n, weight, first
}

// nthLast is the n-th request from the end, which must exist.
func (t *tree[K, Req, Resp]) nthLast(n int) *item[K, Req, Resp] {
	for at := t.root; ; {
		later := 1
		if right := at.branch.right; right != nil {
			later += right.branch.n
		}
		switch {
		case n == later:
			return at
		case n < later:
			at = at.branch.right
		default:
			n -= later
			at = at.branch.left
		}
	}
}

// following is the next request in the order of deadlines.
func following[K comparable, Req, Resp any](it *item[K, Req, Resp]) *item[K, Req, Resp] {
	if at := it.branch.right; at != nil {
		for at.branch.left != nil {
			at = at.branch.left
		}
		return at
	}
	for it.branch.parent != nil && it.branch.parent.branch.right == it {
		it = it.branch.parent
	}
	return it.branch.parent
}

func previous[K comparable, Req, Resp any](it *item[K, Req, Resp]) *item[K, Req, Resp] {
	if at := it.branch.left; at != nil {
		for at.branch.right != nil {
			at = at.branch.right
		}
		return at
	}
	for it.branch.parent != nil && it.branch.parent.branch.left == it {
		it = it.branch.parent
	}
	return it.branch.parent
}
