package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"netatmo-agent/agent/config"
	"netatmo-agent/agent/terminal"
)

// helpWidth is the width of help that does not go to a terminal.
const helpWidth = 80

func widthOf(w io.Writer) int {
	width, _ := terminal.Screen(w)
	return cmp.Or(width, helpWidth)
}

// showHelp writes what a command does and how to use it.
func showHelp(c *cobra.Command, _ []string) {
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	w := c.OutOrStdout()
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if !strings.Contains("\n"+paragraph, "\n\t") { // else it is code
			paragraph = terminal.Wrap(paragraph, 0, widthOf(w))
		}
		fmt.Fprintf(w, "%s\n\n", paragraph)
	}
	writeUsage(w, c)
}

// showUsage writes how to use a command.
func showUsage(c *cobra.Command) error {
	writeUsage(c.OutOrStderr(), c)
	return nil
}

func writeUsage(w io.Writer, c *cobra.Command) {
	fmt.Fprintf(w, "Usage:\n  %s\n", c.UseLine())
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s [command]\n\nCommands:\n", c.CommandPath())
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(w, "  %-*s  %s\n", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	if c.HasAvailableLocalFlags() {
		fmt.Fprintf(w, "\nFlags:\n%s\n", strings.TrimRight(c.LocalFlags().FlagUsagesWrapped(widthOf(w)), "\n "))
	}
	if slices.ContainsFunc(config.Flags(), func(s config.Setting) bool { return c.Flags().Lookup(s.Flag) != nil }) {
		fmt.Fprintf(w, "\nMore help:\n  %s help settings\n  %s help otlp\n", c.Root().Name(), c.Root().Name())
	}
}

// settingsTopic is the help about the agent's own settings, or those of the push.
func settingsTopic(name, about string, push bool) *cobra.Command {
	topic := &cobra.Command{Use: name, Short: about}
	topic.SetHelpFunc(func(c *cobra.Command, _ []string) {
		w := c.OutOrStdout()
		width := widthOf(w)
		fmt.Fprintln(w, terminal.Wrap(about+". A flag wins over its variable.", 0, width))
		for _, s := range config.Documented(push) {
			name, fallback, meaning := s.Describe()
			fmt.Fprintf(w, "\n%s\n", terminal.Wrap(name, 0, width))
			if fallback != "" {
				meaning += " (" + fallback + ")"
			}
			fmt.Fprintf(w, "    %s\n", terminal.Wrap(meaning, 4, width))
		}
	})
	return topic
}
