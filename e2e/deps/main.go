// Command deps sees to the programs and Debian packages that Amphi is built, run and tested with.
//
//	go run ./e2e/deps --for run     what go tool task run needs
//	go run ./e2e/deps --for test    that, and what the browser tests need
//
// What is missing is named with its reason. It is installed when that is possible without a question: as root, or
// where sudo asks for no password. Otherwise the command to type is printed, and the exit status is 1.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// dependency is one Debian package, and when it counts as there.
type dependency struct {
	Package string
	Why     string
	// Program, if set, is what is looked for instead of the package: it may have come from elsewhere.
	Program string
	// Tests says that only the tests need it.
	Tests bool
}

// dependencies in the order in which they are told. The pages' fonts come with the browser; these are for the
// names that the compositor writes into the picture.
var dependencies = []dependency{
	{Package: "gcc", Program: "gcc", Why: "compiles the compositor's shim over the codecs"},
	{Package: "libc6-dev", Why: "headers of the C library, for the same"},
	{Package: "pkg-config", Program: "pkg-config", Why: "tells the compiler where the codecs are"},
	{Package: "libavcodec-dev", Why: "decodes VP8, H.264, VP9 and AV1, encodes and decodes AAC in the compositor"},
	{Package: "libavutil-dev", Why: "goes with libavcodec"},
	{Package: "libswresample-dev", Why: "brings sound that encoders send in to one sample rate"},
	{Package: "libopenh264-dev", Why: "encodes the composed H.264 picture"},
	{Package: "libopus-dev", Why: "decodes the sound of the stage"},
	{Package: "fonts-noto-core", Why: "writes names of most scripts into the composed picture"},
	{Package: "fonts-noto-color-emoji", Why: "writes emoji into the composed picture"},
	{Package: "chromium", Program: "chromium", Why: "the browser of the end-to-end tests", Tests: true},
	{Package: "xvfb", Program: "Xvfb", Why: "the screen of pages that are composed, and of the bench of that", Tests: true},
	{Package: "pulseaudio", Program: "pulseaudio", Why: "their sound card", Tests: true},
	{Package: "firefox-esr", Program: "firefox-esr", Why: "the other browser of the end-to-end tests", Tests: true},
	{Package: "ffmpeg", Program: "ffmpeg", Why: "judges the live stream, and plays files to the tests", Tests: true},
	{Package: "iproute2", Program: "ip", Why: "gives the hosts of the network tests their addresses", Tests: true},
	{Package: "gstreamer1.0-nice", Why: "ICE of GStreamer, which publishes over WHIP in the tests", Tests: true},
	{Package: "gstreamer1.0-plugins-bad", Why: "WebRTC of GStreamer, for the same", Tests: true},
	{Package: "gstreamer1.0-plugins-good", Why: "VP8 of GStreamer, for the same", Tests: true},
	{Package: "gstreamer1.0-plugins-ugly", Why: "H.264 of GStreamer, for the same", Tests: true},
	{Package: "gir1.2-gst-plugins-bad-1.0", Why: "GStreamer's WebRTC in scripts, for the same", Tests: true},
	{Package: "python3-gi", Why: "runs that script", Tests: true},
	{Package: "libnginx-mod-rtmp", Why: "the other service that streams are pushed to in tests", Tests: true},
	{Package: "postgresql", Why: "the other database, which the tests start for themselves", Tests: true},
}

func main() {
	purpose := flag.String("for", "run", "`run` or `test`: what shall be possible afterwards")
	flag.Parse()
	if *purpose != "run" && *purpose != "test" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(os.Stdout, system{}, *purpose == "test"); err != nil {
		fmt.Fprintln(os.Stderr, "deps:", err)
		os.Exit(1)
	}
}

// machine is what run asks and changes.
type machine interface {
	HasProgram(name string) bool
	HasPackage(name string) bool
	// Version of a program, as it prints it with --version; "" if there is none.
	Version(program string) string
	// Prefix is put before an administrator's command: nothing for root, sudo -n for who may. ok is false when
	// neither is possible.
	Prefix() (words []string, ok bool)
	Run(command ...string) error
}

// run installs what is missing on m and tells w about it.
func run(w io.Writer, m machine, tests bool) error {
	if err := checkNode(m); err != nil {
		return err
	}
	missing := missing(m, tests)
	if len(missing) == 0 {
		return nil
	}
	var names []string
	fmt.Fprintln(w, "Missing on this machine:")
	for _, d := range missing {
		names = append(names, d.Package)
		fmt.Fprintf(w, "  %-24s %s\n", d.Package, d.Why)
	}
	if !m.HasProgram("apt-get") {
		return fmt.Errorf("this system has no apt-get: install what corresponds to %s yourself", strings.Join(names, ", "))
	}
	install := append([]string{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--no-install-recommends",
		"-o", "DPkg::Lock::Timeout=120"}, names...)
	prefix, ok := m.Prefix()
	if !ok {
		return fmt.Errorf("not root, and sudo asks for a password; type this, then try again:\n\n"+
			"  sudo apt-get update && sudo apt-get install --no-install-recommends %s", strings.Join(names, " "))
	}
	fmt.Fprintln(w, "Installing them with apt-get.")
	if err := m.Run(append(prefix, "apt-get", "update")...); err != nil {
		return fmt.Errorf("apt-get update: %w", err)
	}
	if err := m.Run(append(prefix, install...)...); err != nil {
		return fmt.Errorf("apt-get install: %w", err)
	}
	return nil
}

// missing lists what m lacks.
func missing(m machine, tests bool) []dependency {
	var list []dependency
	for _, d := range dependencies {
		if d.Tests && !tests {
			continue
		}
		have := d.Program != "" && m.HasProgram(d.Program)
		if !have && d.Program == "" {
			have = m.HasPackage(d.Package)
		}
		if !have {
			list = append(list, d)
		}
	}
	return list
}

// minNode is the oldest major version of Node that builds the pages.
const minNode = 20

// checkNode tells who has no Node, or an old one, before the build fails with something harder to read. It is not
// installed here: the distribution's may be too old, and people have their own ways to it.
func checkNode(m machine) error {
	version := m.Version("node")
	if version == "" || m.Version("npm") == "" {
		return fmt.Errorf("node and npm are needed to build the pages: install Node.js %d or newer", minNode)
	}
	var major int
	if _, err := fmt.Sscanf(version, "v%d", &major); err != nil || major < minNode {
		return fmt.Errorf("node %s is too old to build the pages: install Node.js %d or newer", version, minNode)
	}
	return nil
}

// system is the machine that this runs on.
type system struct{}

func (system) HasProgram(name string) bool {
	_, err := exec.LookPath(name)
	return err == nil
}

func (system) HasPackage(name string) bool {
	out, err := exec.Command("dpkg-query", "--show", "--showformat=${db:Status-Status}", name).Output()
	return err == nil && strings.TrimSpace(string(out)) == "installed"
}

func (system) Version(program string) string {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func (system) Prefix() ([]string, bool) {
	if os.Geteuid() == 0 {
		return nil, true
	}
	if exec.Command("sudo", "--non-interactive", "true").Run() == nil {
		return []string{"sudo", "--non-interactive"}, true
	}
	return nil, false
}

func (system) Run(command ...string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
