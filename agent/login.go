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
	"netatmo-agent/agent/terminal"
	"netatmo-agent/auth"
)

func loginCommand() *cobra.Command {
	var refreshToken string
	c := &cobra.Command{
		Use:   "login",
		Short: "Log in from a terminal, without the agent's pages",
		Long: `Prints the address to open in a browser, on any machine, and accepts the address
that the browser ends on, or the code in it. Saves the token file and exits. A
running agent picks up the new login within 5 seconds if it is waiting for one,
and within a minute otherwise.

With --refresh-token - it reads a refresh token, such as one from the token
generator at dev.netatmo.com, from standard input instead.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if refreshToken != "" && refreshToken != "-" {
				return usage(errors.New("--refresh-token accepts only -, for standard input: every user of the machine can see command lines"))
			}
			return runLogin(c, refreshToken == "-")
		},
	}
	c.Flags().StringVar(&refreshToken, "refresh-token", "", "read a refresh token from `-`, which is standard input")
	addSettings(c)
	showOnly(c, "client-id", "client-secret-file", "token-file", "addr", "external-url", "devices", "scopes", "log-level", "log-format", "api-url")
	return c
}

func runLogin(c *cobra.Command, fromStdin bool) error {
	cfg, err := loadConfig(c, config.Need{Login: true})
	if err != nil {
		return err
	}
	log := config.NewLogger(c.ErrOrStderr(), max(cfg.LogLevel, slog.LevelError), cfg.LogFormat)
	source, err := newSource(c.Context(), cfg, nil, log)
	if err != nil {
		return err
	}
	pickedUp := "within a minute"
	if source.Status().LoggedOut() { // then a running agent checks the file more often
		pickedUp = "within 5 seconds"
	}
	if fromStdin {
		err = adoptFrom(c, source)
	} else {
		err = dialogue(c, source)
	}
	if unsaved, ok := errors.AsType[*auth.SaveError](err); ok {
		fmt.Fprintf(c.ErrOrStderr(), "netatmo-agent: %v\nRetrying until it works; Ctrl-C gives up and loses this login.\n", unsaved)
		err = source.KeepSaving(c.Context())
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(c.OutOrStdout(), "\nInterrupted. Nothing has changed.")
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "Logged in. The login is saved in %s; a running agent picks it up %s.\n", cfg.TokenFile, pickedUp)
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
		return errors.New("this is not a refresh token, which is 24 hexadecimal digits, a vertical bar, and 32 more digits")
	}
	return source.AdoptRefreshToken(c.Context(), pasted.RefreshToken)
}

// readHidden reads a line from a terminal without showing it, and restores the
// terminal.
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
	if fd, ok := terminal.FD(in); ok {
		return readHidden(ctx, fd)
	}
	b, err := io.ReadAll(io.LimitReader(in, 64<<10))
	return strings.TrimSpace(string(b)), err
}

// dialogue asks until a login succeeds, the input ends, or a signal arrives.
// After a signal, it returns the context's error.
func dialogue(c *cobra.Command, source *auth.Source) error {
	out, state := c.OutOrStdout(), rand.Text()
	fmt.Fprintf(out, `Log in to Netatmo

  1. Your app at https://dev.netatmo.com (My apps) needs this redirect URI:
       %s

  2. Open this address in a browser on any machine, and press Accept:
       %s

  3. The browser ends on an address that begins with the redirect URI. The page
     may show an error; only its address matters.

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
		why = "nothing that was pasted worked"
		fmt.Fprintf(out, "\n%v\n\n", err)
	}
}

// use logs in with what was pasted.
func use(ctx context.Context, source *auth.Source, line, state string) error {
	pasted, err := auth.ParsePasted(line)
	switch {
	case err != nil:
		return err
	case pasted.RefreshToken != "":
		return source.AdoptRefreshToken(ctx, pasted.RefreshToken)
	case pasted.State != "" && pasted.State != state:
		return errors.New("this address belongs to another login: open the address above, and paste the one where the browser then ends")
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
