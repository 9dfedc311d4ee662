package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"amphi/compositor/internal/clip"
)

// page shows four videos as a compositor in a browser would: a grid with names.
const page = `<!doctype html><meta charset=utf-8><style>
body{margin:0;background:#0b0f1a;display:grid;grid-template-columns:1fr 1fr;gap:8px;padding:8px;height:704px;box-sizing:content-box;width:1264px;overflow:hidden}
div{position:relative;overflow:hidden;border-radius:12px}
video{width:100%%;height:100%%;object-fit:cover;display:block}
span{position:absolute;left:8px;bottom:8px;padding:6px 12px;border-radius:16px;background:#000a;color:#fff;font:16px sans-serif}
</style>%s`

const tile = `<div><video src="%d.webm" autoplay muted loop></video><span>Person %d</span></div>`

// warmUp is how long a browser takes until it shows all.
const warmUp = 5 * time.Second

// browser prints the processor time by which a browser on a virtual screen, filmed by ffmpeg, makes the same stream of the
// same clips: of all its processes, with the settings of x264 of the other reference, without sound.
func (r run) browser(ours float64, length time.Duration, videos []*clip.Clip) (err error) {
	dir, err := os.MkdirTemp("", "amphi-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var tiles strings.Builder
	for i, v := range videos {
		file := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(file+".ivf", v.IVF, 0o600); err != nil {
			return err
		}
		if out, err := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-i", file+".ivf", "-c", "copy", file+".webm").CombinedOutput(); err != nil {
			return fmt.Errorf("ffmpeg: %w: %s", err, out)
		}
		fmt.Fprintf(&tiles, tile, i, i+1)
	}
	index := filepath.Join(dir, "index.html")
	if err := os.WriteFile(index, fmt.Appendf(nil, page, tiles.String()), 0o600); err != nil {
		return err
	}

	number, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer number.Close()
	screen := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1280x720x24", "-nolisten", "tcp")
	screen.ExtraFiles = []*os.File{theirs}
	err = screen.Start()
	theirs.Close()
	if err != nil {
		return fmt.Errorf("%w (apt-get install xvfb)", err)
	}
	defer end(screen)
	display, err := bufio.NewReader(number).ReadString('\n')
	if err != nil {
		return fmt.Errorf("virtual screen: %w", err)
	}
	display = ":" + strings.TrimSpace(display)
	browser := exec.Command("chromium", "--no-sandbox", "--no-first-run", "--user-data-dir="+filepath.Join(dir, "profile"),
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-gpu", "--disable-dev-shm-usage",
		"--autoplay-policy=no-user-gesture-required", "--kiosk", "--window-position=0,0", "--window-size=1280,720", "--hide-scrollbars", "file://"+index)
	browser.Env = append(os.Environ(), "DISPLAY="+display)
	browser.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := browser.Start(); err != nil {
		return err
	}
	defer end(browser)
	time.Sleep(warmUp)
	roots := []int{screen.Process.Pid, browser.Process.Pid}
	before, err := family(roots)
	if err != nil {
		return err
	}
	film := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-f", "x11grab", "-framerate", "30", "-draw_mouse", "0", "-video_size", "1280x720", "-i", display,
		"-t", fmt.Sprint(length.Seconds()), "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-threads", "1",
		"-g", "60", "-b:v", "2500k", "-maxrate", "3000k", "-bufsize", "2500k", "-x264-params", "scenecut=0", filepath.Join(dir, "film.mp4"))
	if out, err := film.CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	after, err := family(roots)
	if err != nil {
		return err
	}
	if still, err := os.Stat(filepath.Join(dir, "film.mp4")); err != nil || float64(still.Size()*8) < 1e6*length.Seconds() {
		return errors.New("the browser shows nothing that moves")
	}
	filming := film.ProcessState.UserTime() + film.ProcessState.SystemTime()
	cores := (after - before + filming).Seconds() / length.Seconds()
	fmt.Printf("%s.browser.cores %.3f cores\n", r.name, cores)
	fmt.Printf("compositor.browser_ratio %.2f ratio\n", cores/ours)
	return nil
}

// end ends a program and what it has started in its group.
func end(cmd *exec.Cmd) {
	if cmd.SysProcAttr != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// family is the processor time of programs and all that they have started.
func family(roots []int) (time.Duration, error) {
	type process struct {
		parent int
		used   time.Duration
	}
	const tick = 10 * time.Millisecond // of Linux' USER_HZ
	all := make(map[int]process)
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		// The name, in brackets, may hold anything (proc(5)).
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 13 {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		parent, _ := strconv.Atoi(fields[1])
		user, _ := strconv.Atoi(fields[11])
		system, _ := strconv.Atoi(fields[12])
		all[pid] = process{parent, time.Duration(user+system) * tick}
	}
	var sum time.Duration
	found := 0
	for pid := range all {
		for p := pid; p > 1; p = all[p].parent {
			for _, root := range roots {
				if p == root {
					sum += all[pid].used
					found++
				}
			}
		}
	}
	if found < len(roots) {
		return 0, errors.New("a program has ended early")
	}
	return sum, nil
}
