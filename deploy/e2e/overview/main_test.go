package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"testing"
)

const shipped = "../../overview.png"

func TestShippedPictureIsUpToDate(t *testing.T) {
	fresh, err := render()
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	if len(old) > 150_000 {
		t.Errorf("%d bytes are too many for a README", len(old))
	}
	got, want := decode(t, old), decode(t, fresh)
	if got.Bounds() != want.Bounds() {
		t.Fatalf("size %v, want %v", got.Bounds(), want.Bounds())
	}
	// Other processors may round some pixels of a curve to another shade.
	var others int
	for y := range want.Bounds().Dy() {
		for x := range want.Bounds().Dx() {
			if far(got.At(x, y), want.At(x, y)) {
				others++
			}
		}
	}
	if others > 200 {
		t.Errorf("%d pixels differ from deploy/overview.png: in deploy/e2e run go run ./overview >../overview.png", others)
	}
}

func far(a, b color.Color) bool {
	ar, ag, ab, _ := a.RGBA()
	br, bg, bb, _ := b.RGBA()
	const limit = 0x2000
	return max(ar, br)-min(ar, br) > limit || max(ag, bg)-min(ag, bg) > limit || max(ab, bb)-min(ab, bb) > limit
}

func decode(t *testing.T, picture []byte) image.Image {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// No curve may be empty: a module or sensor of the simulation may have been
// renamed.
func TestEveryCurveHasData(t *testing.T) {
	cloud := simulated()
	for _, c := range cards {
		for _, s := range c.curves {
			if n := len(c.samples(cloud, s)); n < c.steps() {
				t.Errorf("%s: %d samples of %s for %d steps", c.title, n, s.name, c.steps())
			}
		}
	}
}
