package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"netatmo-agent/agent/config"
	"netatmo-agent/auth"
)

func loginCommand() *cobra.Command {
	var refreshToken string
	c := &cobra.Command{
		Use:   "login",
		Short: "Log in from a terminal, without the agent's pages",
		Long: `Prints the address to open in a browser, on any machine, and takes the address
that the browser ends on, or the code in it. Saves the token file and ends. An
agent that runs meanwhile takes the new login up within seconds.

With --refresh-token - it reads a refresh token, such as the token generator at
dev.netatmo.com shows one, from standard input instead.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if refreshToken != "" && refreshToken != "-" {
				return usage(errors.New("--refresh-token takes only -, which means standard input: command lines are visible to every user of the machine"))
			}
			return runLogin(c, refreshToken == "-")
		},
	}
	c.Flags().StringVar(&refreshToken, "refresh-token", "", "reads a refresh token from `-`, which is standard input")
	addSettings(c)
	return c
}

func runLogin(c *cobra.Command, fromStdin bool) error {
	cfg, err := loadConfig(c, config.Need{Login: true})
	if err != nil {
		return err
	}
	log := config.NewLogger(c.ErrOrStderr(), max(cfg.LogLevel, slog.LevelError), cfg.LogFormat)
	source, err := newSource(c.Context(), cfg, log)
	if err != nil {
		return err
	}
	if fromStdin {
		err = adoptFrom(c, source)
	} else {
		err = dialogue(c, source)
	}
	if unsaved, ok := errors.AsType[*auth.SaveError](err); ok {
		fmt.Fprintf(c.ErrOrStderr(), "netatmo-agent: %v\nTrying again until it works; Ctrl-C gives up and loses this login.\n", unsaved)
		err = source.KeepSaving(c.Context())
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(c.OutOrStdout(), "\nInterrupted. Nothing has changed.")
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "Logged in. The login is saved in %s; an agent that runs there goes on within seconds.\n", cfg.TokenFile)
	return nil
}

func adoptFrom(c *cobra.Command, source *auth.Source) error {
	token, err := readSecret(c.Context(), c.InOrStdin())
	if err != nil {
		return fmt.Errorf("read the refresh token from standard input: %w", err)
	}
	pasted, err := auth.ParsePasted(token)
	if err != nil {
		return err
	}
	if pasted.RefreshToken == "" {
		return errors.New("this is not a refresh token: one looks like 24 hexadecimal digits, a vertical bar, and more of them")
	}
	return source.AdoptRefreshToken(c.Context(), pasted.RefreshToken)
}

// readHidden reads a line from a terminal without showing it, and leaves the
// terminal as it was.
func readHidden(ctx context.Context, fd int) (string, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprint(os.Stderr, "Refresh token: ")
	defer fmt.Fprintln(os.Stderr)
	var line []byte
	read := make(chan error, 1)
	go func() {
		var err error
		line, err = term.ReadPassword(fd)
		read <- err
	}()
	select {
	case err := <-read:
		return string(line), err
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		return "", ctx.Err()
	}
}

// readSecret reads a line, from a terminal without showing it.
func readSecret(ctx context.Context, in io.Reader) (string, error) {
	if fd, ok := terminal(in); ok {
		return readHidden(ctx, fd)
	}
	b, err := io.ReadAll(io.LimitReader(in, 64<<10))
	return strings.TrimSpace(string(b)), err
}

// dialogue asks until a login succeeds, the input ends, or a signal comes, whose
// error is the context's.
func dialogue(c *cobra.Command, source *auth.Source) error {
	out, state := c.OutOrStdout(), rand.Text()
	fmt.Fprintf(out, `Log in to Netatmo

  1. Your app at https://dev.netatmo.com (My apps) needs this redirect URI:
       %s

  2. Open this address in a browser, on any machine, and accept:
       %s

  3. The browser ends on an address that begins with the redirect URI. The page
     may be an error, only its address matters.

`, source.Status().RedirectURL, source.AuthCodeURL(state))

	lines, why := readLines(c.Context(), c.InOrStdin()), "nothing was pasted"
	for {
		fmt.Fprint(out, "Paste that address, or the code in it: ")
		var line string
		var more bool
		select {
		case line, more = <-lines:
		case <-c.Context().Done():
			return c.Context().Err()
		}
		if !more {
			fmt.Fprintln(out)
			return errors.New("no login: " + why)
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		err := use(c.Context(), source, line, state)
		if _, unsaved := errors.AsType[*auth.SaveError](err); err == nil || unsaved {
			fmt.Fprintln(out)
			return err
		}
		why = "nothing that was pasted made one"
		fmt.Fprintf(out, "\n%v\n\n", err)
	}
}

// use makes a login of what was pasted.
func use(ctx context.Context, source *auth.Source, line, state string) error {
	pasted, err := auth.ParsePasted(line)
	switch {
	case err != nil:
		return err
	case pasted.RefreshToken != "":
		return source.AdoptRefreshToken(ctx, pasted.RefreshToken)
	case pasted.State != "" && pasted.State != state:
		return errors.New("this address is of another login: open the address above, and paste where that one ends")
	}
	return source.Exchange(ctx, pasted.Code)
}

// readLines sends the lines of in until it or ctx ends.
func readLines(ctx context.Context, in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}
