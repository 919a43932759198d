package cache

// growStack makes room on the stack of a goroutine that has just been started. It would grow anyway, on the way down into the store, but
// then twice and with all the frames in between to move: that was a sixth of what a miss costs.
//
//go:noinline
func growStack(i uint) byte { // the compiler must not see that nobody needs it
	var room [4 << 10]byte
	room[i%uint(len(room))] = 1
	return room[(i+1)%uint(len(room))]
}
