package store

// SetFault makes fault take every step of a write: "write", "rename", "fsync
// directory" and "overwrite". It may fail before act, after it, or without it.
func (f *File[T]) SetFault(fault func(step string, act func() error) error) { f.fault = fault }
