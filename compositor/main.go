//go:build cgo

// Amphi-compositor makes one live stream of many people: it decodes their pictures and sounds,
// composes and mixes them, and encodes H.264 and AAC. The server starts one such process for
// each live stream and speaks package wire with it over stdin and stdout; stderr is its log.
//
// It has no network, starts no programs, changes no files, and keeps nothing: when it dies, by a
// hostile stream or otherwise, the server starts another. When its stdin is closed it ends.
//
//	amphi-compositor --transcode makes Opus of one AAC stream instead, with the same precautions
//	amphi-compositor --version   names the codec libraries in use
//	amphi-compositor --check     encodes and decodes a moment to see whether they work, and says
//	                             what this machine does not grant to confine a worker
//	amphi-compositor --still png --size 1280x720
//	                             makes a still, png or jpeg, of one key picture of H.264
//	amphi-compositor --compose   draws one scene with people who are not there, as a PNG
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"

	"amphi/compositor/codec"
	"amphi/compositor/wire"
)

func main() {
	version := flag.Bool("version", false, "print the versions of the codec libraries and exit")
	transcode := flag.Bool(wire.TranscodeFlag, false, "make Opus of AAC instead of a live stream")
	check := flag.Bool("check", false, "try the codecs and exit")
	format := flag.String("still", "", "make a still of the key picture on stdin: png or jpeg")
	size := flag.String("size", "1280x720", "that the still fits into, pixels")
	composed := flag.Bool(wire.ComposeFlag, false, "draw the scene on stdin, as a PNG")
	flag.Parse()
	switch {
	case *version:
		fmt.Println("amphi-compositor,", codec.Versions())
		return
	case *check:
		confine(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
		if err := selfCheck(); err != nil {
			fmt.Fprintln(os.Stderr, "amphi-compositor:", err)
			os.Exit(1)
		}
		fmt.Println("amphi-compositor works with", codec.Versions())
		return
	case *format != "":
		once(func() error { return still(os.Stdin, os.Stdout, *format, *size) })
		return
	case *composed:
		once(func() error { return compose(os.Stdin, os.Stdout) })
		return
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	// A picture has no work for more, and each idle one looks for some. Sound has work for one.
	processors := min(4, runtime.NumCPU())
	run := newWorker(os.Stdin, os.Stdout, log).run
	if *transcode {
		processors, run = 1, newTranscoder(os.Stdin, os.Stdout, log).run
	}
	runtime.GOMAXPROCS(processors)
	confine(log)
	if err := run(); err != nil && !errors.Is(err, io.EOF) {
		log.Error("worker ends", "err", err)
		os.Exit(1)
	}
}

// once does something that ends by itself, confined as a worker is.
func once(do func() error) {
	runtime.GOMAXPROCS(1)
	confine(slog.New(slog.DiscardHandler))
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "amphi-compositor:", err)
		os.Exit(1)
	}
}

// selfCheck encodes a grey second, in silence.
func selfCheck() error {
	const w, h = 320, 180
	video, err := codec.NewH264Encoder(codec.H264Config{Width: w, Height: h, FPS: 30, Bitrate: 300_000})
	if err != nil {
		return err
	}
	defer video.Close()
	decoder, err := codec.NewVideoDecoder(codec.H264)
	if err != nil {
		return err
	}
	defer decoder.Close()
	for _, c := range []codec.VideoCodec{codec.VP8, codec.VP9, codec.AV1} {
		d, err := codec.NewVideoDecoder(c)
		if err != nil {
			return err
		}
		d.Close()
	}
	grey := make([]byte, w*h*3/2)
	for i := range grey {
		grey[i] = 128
	}
	for i := range int64(30) {
		unit, _, err := video.Encode(grey[:w*h], grey[w*h:][:w*h/4], grey[w*h*5/4:], w, w/2, i*33, i == 0)
		if err != nil {
			return err
		}
		picture, err := decoder.Decode(unit)
		if err != nil {
			return err
		}
		if picture == nil || picture.W != w || picture.H != h {
			return errors.New("what openh264 encodes is not what libavcodec decodes")
		}
		picture.Close()
	}
	audio, err := codec.NewAACEncoder(128_000)
	if err != nil {
		return err
	}
	defer audio.Close()
	for i := range int64(10) {
		if _, _, err := audio.Encode(make([]float32, codec.AACSamples*codec.Channels), i*codec.AACSamples); err != nil {
			return err
		}
	}
	opus, err := codec.NewOpusDecoder()
	if err != nil {
		return err
	}
	opus.Close()
	return nil
}
