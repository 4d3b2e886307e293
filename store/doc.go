// Package store keeps a small JSON document in a file so that neither a crash
// nor a full disk loses it, and locks files between processes.
//
// A [File] is replaced, not rewritten: readers find the old document or the new
// one, and the new one survives a power cut once Save has returned nil. A file
// that cannot be replaced (on a full disk, or bind-mounted alone into a
// container) can be overwritten in place by Overwrite.
//
// A [Lock] is held on a file. The kernel releases it when its holder dies, so
// nobody has to remove the file, which contains the holder's process id for
// people to read.
package store
