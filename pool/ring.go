package pool

// ring is a queue in a slice that grows as needed.
type ring[T any] struct {
	buf     []T
	head, n int
}

func (r *ring[T]) first() T { return r.buf[r.head] }

func (r *ring[T]) push(v T) {
	if r.n == len(r.buf) {
		buf := make([]T, max(8, 2*r.n))
		copied := copy(buf, r.buf[r.head:])
		copy(buf[copied:], r.buf[:r.head])
		r.buf, r.head = buf, 0
	}
	r.buf[(r.head+r.n)%len(r.buf)] = v
	r.n++
}

func (r *ring[T]) take() T {
	var none T
	v := r.buf[r.head]
	r.buf[r.head] = none
	r.head = (r.head + 1) % len(r.buf)
	r.n--
	return v
}
