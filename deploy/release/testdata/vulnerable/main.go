// A program with a known vulnerability, to prove that the search finds one.
package main

import (
	"fmt"

	"golang.org/x/text/language"
)

func main() {
	fmt.Println(language.ParseAcceptLanguage("en"))
}
