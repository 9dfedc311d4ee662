package config

import (
	"flag"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// load runs the whole way from arguments to configuration, in a directory of its own.
func load(t *testing.T, yml string, env []string, args ...string) (Config, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if yml != "" {
		if err := os.WriteFile(DefaultFile, []byte(yml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fs := flag.NewFlagSet("amphi", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o := Flags(fs)
	if err := fs.Parse(args); err != nil {
		return Config{}, err
	}
	return o.Load(env)
}

func TestDefaultsAreValid(t *testing.T) {
	got, err := load(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, Default()) {
		t.Errorf("got %+v", got)
	}
}

func TestOrderOfSources(t *testing.T) {
	const yml = "addr: :1\nrtc: {port: 1, node_ip: [10.0.0.1, fd00::1]}\nlimits:\n  chat_per_second: 1\n"
	got, err := load(t, yml, []string{"AMPHI_ADDR=:2", "AMPHI_RTC_PORT=2", "HOME=/", "AMPHI_RTC_PROT=3"}, "--addr", ":3", "--rtc-loopback")
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.File = DefaultFile
	want.UnknownEnv = []string{"AMPHI_RTC_PROT"}
	want.Limits.ChatPerSecond = 1 // file
	want.RTC.NodeIPs = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}
	want.RTC.Port = 2 // environment over file
	want.Addr = ":3"  // flag over environment
	want.RTC.Loopback = true
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestEverySettingFromEverySource(t *testing.T) {
	sample := map[string]string{
		"public_url": "https://a.example", "log.level": "debug", "log.format": "json", "addr": ":0", "data": "/d",
		"compositor.path": "/c", "webhook.url": "https://a.example/hook", "webhook.headers": "A: b,C: d",
		"rtc.node_ip": "10.0.0.1", "rtc.loopback": "true", "rtc.ice_servers": "[{urls: [stun:s.example]}]",
		"webhook.retry_pauses": "2s,4s", "http.trusted_proxies": "10.0.0.0/8", "http.metrics_from": "10.0.0.7",
		"http.embed_from":        "https://a.example",
		"webhook.allow_networks": "10.0.0.0/8", "rtmp.allow_networks": "10.0.0.0/8", "pull.allow_networks": "10.0.0.0/8",
		"composition.browser": "chromium", "composition.user": "nobody", "composition.no_sandbox": "true", "composition.allow_networks": "10.0.0.0/8",
		"whiteboard.addr": "board.example", "whiteboard.secret": "a secret of thirty-two bytes or more",
		"db":             "postgres://amphi:secret@db.example/amphi",
		"storage.bucket": "films", "storage.endpoint": "https://s3.example", "storage.region": "eu-1", "storage.prefix": "live",
		"storage.key": "k", "storage.secret": "s",
		"turn.enabled": "true", "turn.host": "turn.example", "turn.certificate": "/c.pem", "turn.key": "/k.pem",
	}
	def := Default()
	for _, s := range def.table() {
		text, ok := sample[s.key]
		if !ok {
			switch s.val.(type) {
			case *intValue:
				text = "123456"
				if s.key == "rtc.port" || s.key == "turn.port" || s.key == "turn.tls_port" || s.key == "rtmp.port" {
					text = "4711"
				}
			case *durationValue:
				text = "77s"
			default:
				t.Errorf("%s: the test has no sample", s.key)
				continue
			}
		}
		var want Config
		c := Default()
		for _, w := range c.table() {
			if w.key == s.key {
				if err := w.val.Set(text); err != nil {
					t.Fatal(err)
				}
			}
		}
		want = c
		if reflect.DeepEqual(want, Default()) {
			t.Errorf("%s: the sample is the default", s.key)
		}
		fromEnv, err := load(t, "", []string{s.env() + "=" + text})
		if err != nil || !reflect.DeepEqual(fromEnv, want) {
			t.Errorf("%s: %v %+v", s.env(), err, fromEnv)
		}
		fromFlag, err := load(t, "", nil, "--"+s.name()+"="+text)
		if err != nil || !reflect.DeepEqual(fromFlag, want) {
			t.Errorf("--%s: %v %+v", s.name(), err, fromFlag)
		}
		yml := text
		if s.key != "rtc.ice_servers" {
			yml = `"` + text + `"`
		}
		if section, key, ok := strings.Cut(s.key, "."); ok {
			yml = section + ":\n  " + key + ": " + yml + "\n"
		} else {
			yml = s.key + ": " + yml + "\n"
		}
		fromFile, err := load(t, yml, nil)
		fromFile.File = ""
		if err != nil || !reflect.DeepEqual(fromFile, want) {
			t.Errorf("%s in the file: %v %+v", s.key, err, fromFile)
		}
	}
}

func TestExampleFileIsTheManual(t *testing.T) {
	text, err := os.ReadFile("amphi.example.yml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := load(t, string(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	got.File = ""
	if !reflect.DeepEqual(normal(got), normal(Default())) {
		t.Errorf("the example does not show the defaults:\n got %+v\nwant %+v", got, Default())
	}
	// Every key is there, in the order of the table, with a comment above it or beside it.
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var keys []string
	var collect func(prefix string, n *yaml.Node)
	collect = func(prefix string, n *yaml.Node) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			if v.Kind == yaml.MappingNode {
				collect(prefix+k.Value+".", v)
				continue
			}
			keys = append(keys, prefix+k.Value)
			if k.HeadComment == "" && v.LineComment == "" && k.Value != "request_burst" {
				t.Errorf("%s%s is not explained", prefix, k.Value)
			}
		}
	}
	collect("", doc.Content[0])
	var want []string
	def := Default()
	for _, s := range def.table() {
		want = append(want, s.key)
	}
	if !reflect.DeepEqual(keys, want) {
		t.Errorf("keys of the example:\n%v\nof the table:\n%v", keys, want)
	}
}

// normal makes empty lists equal to absent ones.
func normal(c Config) Config {
	v := reflect.ValueOf(&c).Elem()
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
				}
			}
		case reflect.Slice:
			if v.Len() == 0 {
				v.SetZero()
			}
		}
	}
	walk(v)
	return c
}

// TestTableCoversTheStruct finds a field that no row of the table points to.
func TestTableCoversTheStruct(t *testing.T) {
	c := Default()
	rows := make(map[uintptr]bool)
	for _, s := range c.table() {
		v := reflect.ValueOf(s.val)
		if l := v.Elem(); l.Kind() == reflect.Struct { // listValue
			v = l.FieldByName("list")
		}
		rows[v.Pointer()] = true
	}
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		for i := range v.NumField() {
			f, name := v.Field(i), path+v.Type().Field(i).Name
			switch {
			case name == "File" || name == "UnknownEnv":
			case f.Kind() == reflect.Struct:
				walk(name+".", f)
			case !rows[f.Addr().Pointer()]:
				t.Errorf("%s is not in the table", name)
			}
		}
	}
	walk("", reflect.ValueOf(&c).Elem())
}

func TestMistakesAreNamed(t *testing.T) {
	for _, tc := range []struct {
		name, yml string
		env       []string
		args      []string
		want      []string // parts of the message
	}{
		{name: "unknown key", yml: "adr: :1\n", want: []string{"amphi.yml: line 1: adr is not a setting; did you mean addr?"}},
		{name: "unknown nested key", yml: "rtc:\n  prot: 1\n", want: []string{"line 2: rtc.prot is not a setting; did you mean rtc.port?"}},
		{name: "flat key", yml: "port: 1\n", want: []string{"port is not a setting; did you mean rtc.port?"}},
		{name: "far key", yml: "frobnicate: 1\n", want: []string{"line 1: frobnicate is not a setting"}},
		{name: "twice", yml: "data: a\ndata: b\n", want: []string{"data"}},
		{name: "wrong type", yml: "rtc: {port: many}\nlog: [1]\naddr: {a: b}\n", want: []string{
			`line 1: rtc.port: "many" is not a whole number`, "line 2: log wants keys below it", "line 3: addr: wants a single value"}},
		{name: "no YAML", yml: "a: b: c\n", want: []string{"amphi.yml: yaml: "}},
		{name: "list at the top", yml: "- 1\n", want: []string{"line 1:"}},
		{name: "ICE without urls", yml: "rtc: {ice_servers: [{username: a}]}\n", want: []string{"rtc.ice_servers: an entry has no urls"}},
		{name: "ICE url", yml: "rtc: {ice_servers: [{urls: ['http://a']}]}\n", want: []string{`"http://a" is not of the form stun:`}},
		{name: "ICE credential", yml: "rtc: {ice_servers: [{urls: ['turn:a']}]}\n", want: []string{"needs a username and a credential"}},
		{name: "ICE key", yml: "rtc: {ice_servers: [{url: 'turn:a'}]}\n", want: []string{`unknown key "url"`}},
		{name: "environment", env: []string{"AMPHI_RTC_LOOPBACK=maybe"}, want: []string{`AMPHI_RTC_LOOPBACK: "maybe" is not true or false`}},
		{name: "flag", args: []string{"--node-ip", "here"}, want: []string{`"here" is not an IP address`}},
		{name: "unknown flag", args: []string{"--nats", "x"}, want: []string{"flag provided but not defined: -nats"}},
		{name: "values", args: []string{"--addr", "8080", "--rtc-port", "65536", "--public-url", "live.example.org", "--log-level", "loud",
			"--webhook-timeout", "0s", "--limits-body-bytes", "1", "--webhook-headers", "secret", "--data", "", "--webhook-url", "hook",
			"--webhook-retry-pauses", "", "--db", "mysql://amphi:secret@db.example"},
			want: []string{"addr: ", "rtc.port: 65536 is not a UDP port", "public_url: ", "log.level: ", "webhook.timeout: 0s",
				"limits.body_bytes: 1 is too small", "webhook.headers: ", "data: is empty", "db: is not a URL", "webhook.url: ", "webhook.retry_pauses: is empty"}},
		{name: "embedding", args: []string{"--http-embed-from", "https://a.example/x,https://b; script-src"}, want: []string{"http.embed_from: \"https://a.example/x\" is not an origin", "script-src"}},
		{name: "public path", args: []string{"--public-url", "https://a.example/live"}, want: []string{"more than scheme and host"}},
		{name: "missing file", args: []string{"--config", "none.yml"}, want: []string{"configuration file: ", "none.yml"}},
		{name: "missing file by environment", env: []string{"AMPHI_CONFIG=none.yml"}, want: []string{"none.yml"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, tc.yml, tc.env, tc.args...)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in: %v", w, err)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("a secret is in: %v", err)
			}
		})
	}
}

func TestNamedFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "other.yml")
	if err := os.WriteFile(path, []byte("addr: :7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ env, args []string }{
		{args: []string{"--config", path}},
		{env: []string{"AMPHI_CONFIG=" + path}},
		{env: []string{"AMPHI_CONFIG=nowhere.yml"}, args: []string{"--config", path}},
	} {
		c, err := load(t, "addr: :8\n", tc.env, tc.args...)
		if err != nil || c.Addr != ":7" || c.File != path {
			t.Errorf("%v: %q from %q, %v", tc, c.Addr, c.File, err)
		}
	}
}

func TestWebhookHeaders(t *testing.T) {
	c := Default()
	if c.WebhookHeaders() != nil {
		t.Error("headers from nowhere")
	}
	c.Webhook.Headers = []string{"x-key: a:b ", "Authorization:Bearer 1"}
	want := map[string]string{"X-Key": "a:b", "Authorization": "Bearer 1"}
	if got := c.WebhookHeaders(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestDuration(t *testing.T) {
	if d, err := parseDuration("90m"); d != 90*time.Minute || err != nil {
		t.Error(d, err)
	}
}

// FuzzFile feeds arbitrary texts: the answer is a configuration or an error, never a panic.
func FuzzFile(f *testing.F) {
	example, err := os.ReadFile("amphi.example.yml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add("rtc: &a {port: 1, node_ip: *a}")
	f.Add("rtc: {ice_servers: [{urls: [a], urls: b}]}\nlimits: null\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		if applyFile(c.table(), []byte(text)) == nil {
			_ = c.Validate()
		}
	})
}
