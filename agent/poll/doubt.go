package poll

import (
	"errors"
	"fmt"
)

// mostDoubts is how many answers in a row without any device are not believed,
// because Netatmo gives such answers in passing outages too. With the time
// between them, that is about five minutes.
const mostDoubts = 5

// doubtError says that an answer is not believed, for the n-th time in a row.
type doubtError int

func (n doubtError) Error() string {
	return fmt.Sprintf("Netatmo's answer has no device (%d in a row); it is asked again", int(n))
}

// doubts returns which doubt in a row err is, 0 for other errors.
func doubts(err error) int {
	n, _ := errors.AsType[doubtError](err)
	return int(n)
}

// doubt counts the answers in a row that are not believed.
type doubt int

// believes reports whether an answer, which is empty or not, is to be believed.
func (d *doubt) believes(empty bool) bool {
	switch {
	case !empty:
		*d = 0
	case *d < mostDoubts:
		*d++
		return false
	}
	return true
}
