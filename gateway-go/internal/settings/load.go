package settings

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// EnvironmentPrefix begins the name of every environment variable of the platform.
const EnvironmentPrefix = "BIMETAL_"

// ErrHelp says that the help was asked for and printed.
var ErrHelp = pflag.ErrHelp

// Load reads the settings that flags declares from the arguments behind the program's name, from environ (as os.Environ
// gives it) and from the file that --config names. An unknown key in the file is an error, and so is an unknown variable with the platform's
// prefix: one that is misspelt would silently leave a default in force.
func Load(flags *pflag.FlagSet, arguments, environ []string) (*Reader, error) {
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q; see --help", flags.Arg(0))
	}
	if err := refuseUnknownVariables(flags, environ); err != nil {
		return nil, err
	}
	settings := koanf.New(".")
	variables := env.Provider(".", env.Opt{
		Prefix: EnvironmentPrefix,
		TransformFunc: func(name, value string) (string, any) {
			return strings.ToLower(strings.TrimPrefix(name, EnvironmentPrefix)), value
		},
		EnvironFunc: func() []string { return environ },
	})
	path, err := flags.GetString("config")
	if err != nil {
		return nil, err
	}
	if path == "" {
		path = lookUp(environ, EnvironmentPrefix+"CONFIG")
	}
	if path != "" {
		if err := loadFile(settings, flags, path); err != nil {
			return nil, err
		}
	}
	if err := settings.Load(variables, nil); err != nil {
		return nil, fmt.Errorf("read the environment: %w", err)
	}
	given := posflag.ProviderWithFlag(flags, ".", settings, func(flag *pflag.Flag) (string, any) {
		return key(flag.Name), posflag.FlagVal(flags, flag)
	})
	if err := settings.Load(given, nil); err != nil {
		return nil, fmt.Errorf("read the flags: %w", err)
	}
	return &Reader{settings: settings}, nil
}

// key is the name of a setting in the file and, in capitals, in the environment.
func key(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

func refuseUnknownVariables(flags *pflag.FlagSet, environ []string) error {
	known := map[string]bool{}
	flags.VisitAll(func(flag *pflag.Flag) { known[EnvironmentPrefix+strings.ToUpper(key(flag.Name))] = true })
	for _, pair := range environ {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, EnvironmentPrefix) && !known[name] {
			return fmt.Errorf("the environment variable %s is no setting; see --help", name)
		}
	}
	return nil
}

func loadFile(settings *koanf.Koanf, flags *pflag.FlagSet, path string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("setting config: %w", err)
	}
	if err := settings.Load(file.Provider(path), toml.Parser()); err != nil {
		return fmt.Errorf("setting config: %s is no TOML: %w", path, err)
	}
	known := map[string]bool{}
	flags.VisitAll(func(flag *pflag.Flag) { known[key(flag.Name)] = true })
	var unknown []string
	for _, name := range settings.Keys() {
		if !known[name] {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return fmt.Errorf("%s: unknown setting %s", path, strings.Join(unknown, ", "))
	}
	return nil
}

func lookUp(environ []string, name string) string {
	for _, pair := range environ {
		if key, value, ok := strings.Cut(pair, "="); ok && key == name {
			return value
		}
	}
	return ""
}
