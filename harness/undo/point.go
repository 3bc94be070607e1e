package undo

// The points around a change, and around its undoing: see passPoint.
const (
	before     = "before"      // the record is synced, the change is not begun
	after      = "after"       // the change is made
	undoBefore = "undo-before" // its undoing is not begun
	undoAfter  = "undo-after"  // it is undone, and that is not recorded
)
