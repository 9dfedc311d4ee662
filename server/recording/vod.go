package recording

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"
)

// writeVOD makes a ZIP of a multivariant playlist, and for each layer a playlist with its segments, and a
// poster. All names are relative: unpacked anywhere that serves files, it plays. Nothing is compressed, as pictures cannot be.
func (r *reel) writeVOD(target string) error {
	return writeFile(target, func(f *os.File) error {
		buffered := bufio.NewWriterSize(f, 1<<20)
		z := &archive{zip: zip.NewWriter(buffered), at: r.segments[0].Start}
		var layers []variant
		for layer := range r.spec.Layers {
			v, err := r.writeLayer(z, layer)
			if err != nil {
				return err
			}
			layers = append(layers, v)
		}
		z.write("master.m3u8", masterPlaylist(layers, r.spec.FrameRate))
		if r.poster != "" {
			poster, err := os.ReadFile(r.poster)
			if err != nil {
				return fmt.Errorf("recording: %w", err)
			}
			z.write("poster.jpg", poster)
		}
		return errors.Join(z.err, z.zip.Close(), buffered.Flush())
	})
}

// archive writes files into a ZIP, until the first error.
type archive struct {
	zip *zip.Writer
	at  time.Time
	err error
}

func (a *archive) write(name string, body []byte) {
	if a.err != nil {
		return
	}
	w, err := a.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Modified: a.at})
	if err == nil {
		_, err = w.Write(body)
	}
	a.err = err
}

// variant is a layer as the multivariant playlist tells of it.
type variant struct {
	uri           string
	peak, average int // bit/s
	codec         string
	width, height int
}

// writeLayer writes a layer's segments and playlist.
func (r *reel) writeLayer(z *archive, layer int) (variant, error) {
	dir := fmt.Sprintf("stream_%d/", layer)
	v := variant{uri: dir + "playlist.m3u8", peak: r.spec.Layers[layer].Bitrate}
	in, err := parseInit(r.inits[0][layer])
	if err != nil {
		return v, err
	}
	v.codec, v.width, v.height = in.codec, in.width, in.height
	var list bytes.Buffer
	var longest time.Duration
	var bytesInAll int64
	init := -1
	var sets parameterSets
	for i, s := range r.segments {
		body, err := r.body(i, layer)
		if err != nil {
			return v, err
		}
		if z.err != nil {
			return v, z.err
		}
		if s.init != init {
			if in, err = parseInit(r.inits[s.init][layer]); err != nil {
				return v, err
			}
			sets.use(in)
		}
		if body, err = sets.into(body); err != nil {
			return v, err
		}
		if s.Cut && i > 0 {
			list.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		if s.init != init {
			init = s.init
			name := fmt.Sprintf("init-%d.mp4", init)
			z.write(dir+name, r.inits[init][layer])
			fmt.Fprintf(&list, "#EXT-X-MAP:URI=%q\n", name)
		}
		name := fmt.Sprintf("segment-%05d.m4s", i)
		z.write(dir+name, body)
		fmt.Fprintf(&list, "#EXT-X-PROGRAM-DATE-TIME:%s\n#EXTINF:%.5f,\n%s\n", s.Start.UTC().Format("2006-01-02T15:04:05.000Z"), s.Duration.Seconds(), name)
		longest = max(longest, s.Duration)
		bytesInAll += int64(len(body))
		if s.Duration >= time.Second/2 { // RFC 8216bis 4.4.6.2: short ones do not count
			v.peak = max(v.peak, int(float64(8*len(body))/s.Duration.Seconds()))
		}
	}
	list.WriteString("#EXT-X-ENDLIST\n")
	v.average = int(float64(8*bytesInAll) / r.duration().Seconds())
	target := max(1, int(longest.Round(time.Second)/time.Second)) // 4.4.3.1: no duration rounds to more
	head := fmt.Sprintf("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n", target)
	z.write(v.uri, append([]byte(head), list.Bytes()...))
	return v, nil
}

func masterPlaylist(layers []variant, fps int) []byte {
	var b bytes.Buffer
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	for _, v := range layers {
		fmt.Fprintf(&b, "\n#EXT-X-STREAM-INF:BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"%s,mp4a.40.2\",RESOLUTION=%dx%d,FRAME-RATE=%d.000,CLOSED-CAPTIONS=NONE\n%s\n",
			max(v.peak, v.average), v.average, v.codec, v.width, v.height, fps, v.uri)
	}
	return b.Bytes()
}

// writeFile makes a file; one that could not be made whole is removed.
func writeFile(target string, write func(*os.File) error) error {
	f, err := os.Create(target)
	if err != nil {
		return diskError(err)
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(target)
		return diskError(err)
	}
	return nil
}
