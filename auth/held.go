package auth

import "time"

const (
	// shortLife is given to an access token whose expiry the file does not say:
	// enough to work with while it is being renewed.
	shortLife = time.Minute

	// most of the time before its expiry at which a token is renewed.
	maxMargin = 10 * time.Minute
)

// held is the pair in memory, with the life of its access token judged by two
// clocks. The wall clock alone would trust a token for years after it was set
// back; the monotonic clock alone would not see a night of suspend.
//
// The document stays as it came, whatever is thought of its expiry: it is what a
// save writes.
type held struct {
	document
	since    time.Time     // when the pair came to this process
	life     time.Duration // of the access token from then on, by the monotonic clock
	until    time.Time     // and its end by the wall clock
	unsure   bool          // both are a guess, as the document does not say
	rejected bool          // the API does not accept the access token
}

// hold judges a document that came now, from the file or from Netatmo.
//
// A life longer than Netatmo named is the mark of a clock that was wrong when
// the file was written, or is wrong now. It is cut, if the token can be renewed.
func hold(d document, now time.Time) held {
	h := held{document: d, since: now}
	if d.Access == "" {
		return h
	}
	h.until, h.life = d.Expiry, d.Expiry.Sub(now.Round(0))
	most := d.Life
	if most == 0 {
		most = netatmoLife
	}
	switch {
	case d.Expiry.IsZero() && d.Refresh == "":
		h.unsure, h.life = true, netatmoLife // and the API will tell
	case d.Expiry.IsZero():
		h.unsure, h.life = true, shortLife
	case h.life > most && d.Refresh != "":
		h.life = most
	default:
		return h
	}
	h.until = now.UTC().Add(h.life).Truncate(time.Second)
	return h
}

// left returns the life that is left to the access token: what the clock says
// that leaves it less.
func (h held) left(now time.Time) time.Duration {
	return min(h.until.Sub(now.Round(0)), h.life-now.Sub(h.since))
}

// alive reports whether the access token is good.
func (h held) alive(now time.Time) bool {
	return h.Access != "" && !h.rejected && h.left(now) > 0
}

// fresh reports whether the access token is good and not yet to be renewed.
func (h held) fresh(now time.Time) bool {
	return h.alive(now) && (h.Refresh == "" || !h.unsure && h.left(now) > h.margin())
}

// margin is how long before its expiry an access token is renewed: min(10 min,
// a tenth of its life). Where Netatmo's word for the life is lost, the life that
// was left when the token came is the best guess.
func (h held) margin() time.Duration {
	life := h.Life
	if life == 0 {
		life = h.life
	}
	return min(maxMargin, life/10)
}
