package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"netatmo-agent/store"
)

func Example() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	type counter struct {
		Starts int `json:"starts"`
	}
	file := store.New[counter](filepath.Join(dir, "state", "counter.json"))
	if _, err := file.Probe(); err != nil { // a disk that cannot be written shows now, not later
		panic(err)
	}

	lock, err := store.TryLock(filepath.Join(dir, "state", "counter.lock"))
	if err != nil {
		panic(err)
	}
	defer func() { _ = lock.Unlock() }()

	c, err := file.Load()
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Println("first start")
	}
	c.Starts++
	if err := file.Save(c); err != nil {
		panic(err)
	}
	content, _ := os.ReadFile(file.Path())
	fmt.Print(string(content))

	_, err = store.TryLock(filepath.Join(dir, "state", "counter.lock"))
	fmt.Println(errors.Is(err, store.ErrHeld))
	// Output:
	// first start
	// {
	//   "starts": 1
	// }
	// true
}
