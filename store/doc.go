// Package store keeps one small JSON document in a file so that neither a crash
// nor a full disk costs its content, and lets processes take turns with it.
//
// A [File] is replaced, never rewritten: readers see the old document or the new
// one, and when Save returns nil the new one survives a power cut. Where a file
// cannot be replaced (a full disk, a file bind-mounted alone into a container)
// Overwrite writes over the old content without emptying the file first.
//
// A [Lock] is a file too. The kernel frees it when its holder dies, so a lock
// never has to be removed by hand; the holder's process id stands in it for
// people to read.
package store
