package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// value is a typed place for a setting. Set takes the text form of flags and the environment; YAML takes a node of
// the file. String gives the text form back.
type value interface {
	String() string
	Set(text string) error
	YAML(n *yaml.Node) error
}

// scalar hands a YAML scalar to set; lists and mappings are refused.
func scalar(n *yaml.Node, set func(string) error) error {
	if n.Kind != yaml.ScalarNode {
		return errors.New("wants a single value")
	}
	return set(n.Value)
}

type stringValue string

func (v *stringValue) String() string          { return string(*v) }
func (v *stringValue) Set(s string) error      { *v = stringValue(s); return nil }
func (v *stringValue) YAML(n *yaml.Node) error { return scalar(n, v.Set) }

type intValue int

func (v *intValue) String() string          { return strconv.Itoa(int(*v)) }
func (v *intValue) YAML(n *yaml.Node) error { return scalar(n, v.Set) }
func (v *intValue) Set(s string) error {
	n, err := strconv.Atoi(strings.ReplaceAll(s, "_", ""))
	if err != nil {
		return fmt.Errorf("%q is not a whole number", s)
	}
	*v = intValue(n)
	return nil
}

type boolValue bool

func (v *boolValue) String() string          { return strconv.FormatBool(bool(*v)) }
func (v *boolValue) YAML(n *yaml.Node) error { return scalar(n, v.Set) }
func (v *boolValue) IsBoolFlag() bool        { return true }
func (v *boolValue) Set(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return fmt.Errorf("%q is not true or false", s)
	}
	*v = boolValue(b)
	return nil
}

type durationValue time.Duration

func (v *durationValue) String() string          { return time.Duration(*v).String() }
func (v *durationValue) YAML(n *yaml.Node) error { return scalar(n, v.Set) }
func (v *durationValue) Set(s string) error {
	d, err := parseDuration(s)
	*v = durationValue(d)
	return err
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 500ms, 10s or 24h", s)
	}
	return d, nil
}

// listValue is a list of simple values: comma-separated in text, a sequence or one scalar in YAML. Setting replaces
// the whole list.
type listValue[T any] struct {
	list  *[]T
	parse func(string) (T, error)
	print func(T) string
}

func texts(l *[]string) value {
	return &listValue[string]{l, func(s string) (string, error) { return s, nil }, func(s string) string { return s }}
}

func durations(l *[]time.Duration) value {
	return &listValue[time.Duration]{l, parseDuration, time.Duration.String}
}

func addrs(l *[]netip.Addr) value {
	return &listValue[netip.Addr]{l, func(s string) (netip.Addr, error) {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return a, fmt.Errorf("%q is not an IP address", s)
		}
		return a, nil
	}, netip.Addr.String}
}

func prefixes(l *[]netip.Prefix) value {
	return &listValue[netip.Prefix]{l, func(s string) (netip.Prefix, error) {
		if a, err := netip.ParseAddr(s); err == nil {
			return netip.PrefixFrom(a, a.BitLen()), nil
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return p, fmt.Errorf("%q is not a network such as 10.0.0.0/8", s)
		}
		return p.Masked(), nil
	}, netip.Prefix.String}
}

func (v *listValue[T]) String() string {
	if v.list == nil {
		return ""
	}
	parts := make([]string, len(*v.list))
	for i, e := range *v.list {
		parts[i] = v.print(e)
	}
	return strings.Join(parts, ",")
}

func (v *listValue[T]) Set(s string) error {
	if strings.TrimSpace(s) == "" {
		*v.list = nil
		return nil
	}
	return v.set(strings.Split(s, ","))
}

func (v *listValue[T]) YAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return v.Set(n.Value)
	}
	if n.Kind != yaml.SequenceNode {
		return errors.New("wants a list")
	}
	var parts []string
	for _, e := range n.Content {
		if e.Kind != yaml.ScalarNode {
			return errors.New("wants a list of single values")
		}
		parts = append(parts, e.Value)
	}
	return v.set(parts)
}

func (v *listValue[T]) set(parts []string) error {
	var list []T
	for _, p := range parts {
		e, err := v.parse(strings.TrimSpace(p))
		if err != nil {
			return err
		}
		list = append(list, e)
	}
	*v.list = list
	return nil
}

// iceValue is the list of ICE servers; its text form is YAML (so JSON does too).
type iceValue []ICEServer

func (v *iceValue) String() string {
	if len(*v) == 0 {
		return ""
	}
	var urls []string // credentials are not for printing
	for _, s := range *v {
		urls = append(urls, s.URLs...)
	}
	return strings.Join(urls, ",")
}

func (v *iceValue) Set(s string) error {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(s), &n); err != nil || len(n.Content) != 1 {
		return errors.New("is not a list such as [{urls: [stun:stun.example.org:3478]}]")
	}
	return v.YAML(n.Content[0])
}

func (v *iceValue) YAML(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return errors.New("wants a list of {urls, username, credential}")
	}
	var list []ICEServer
	for _, e := range n.Content {
		if e.Kind != yaml.MappingNode {
			return errors.New("wants a list of {urls, username, credential}")
		}
		for i := 0; i < len(e.Content); i += 2 {
			if key := e.Content[i].Value; !oneOf(key, "urls", "username", "credential") {
				return fmt.Errorf("has the unknown key %q; urls, username and credential are known", key)
			}
		}
		var s ICEServer
		if err := e.Decode(&s); err != nil {
			return errors.New("wants urls as a list, username and credential as texts")
		}
		list = append(list, s)
	}
	*v = list
	return nil
}
