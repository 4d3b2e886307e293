package store

// SetFault lets fault run every step of a write: "write", "rename", "fsync
// directory" and "overwrite". fault can fail before act, after it, or without it.
func (f *File[T]) SetFault(fault func(step string, act func() error) error) { f.fault = fault }
