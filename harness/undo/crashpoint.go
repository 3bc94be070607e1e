package undo

// The crash points: the moments around a change and around its undoing at which a
// build for tests can be made to crash, see maybeCrash.
const (
	beforeChange = "before"      // the record is synced, the change has not begun
	afterChange  = "after"       // the change is made
	beforeUndo   = "undo-before" // the undoing has not begun
	afterUndo    = "undo-after"  // the change is undone, and that is not recorded
)
