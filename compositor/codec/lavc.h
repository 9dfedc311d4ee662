// libavcodec behind plain C types. See lavc.c.
#ifndef AMPHI_LAVC_H
#define AMPHI_LAVC_H

#include <stdint.h>

enum { AMPHI_VP8 = 1, AMPHI_H264 = 2, AMPHI_VP9 = 3, AMPHI_AV1 = 4 };

// Results besides 0.
enum { AMPHI_DAMAGED = -1, AMPHI_TOO_LARGE = -2, AMPHI_NO_MEMORY = -3, AMPHI_NO_SPACE = -4 };

typedef struct amphi_decoder amphi_decoder;

// A decoded I420 picture. frame owns the planes.
typedef struct {
	void *frame;
	uint8_t *plane[3];
	int stride[3];
	int width, height;
} amphi_picture;

amphi_decoder *amphi_decoder_new(int codec, int long_side, int short_side);
void amphi_decoder_free(amphi_decoder *d);

// Decodes one frame. out->frame stays NULL if it shows nothing.
int amphi_decoder_decode(amphi_decoder *d, const uint8_t *data, int size, amphi_picture *out);
void amphi_decoder_flush(amphi_decoder *d);
void amphi_picture_free(void *frame);

typedef struct amphi_aac amphi_aac;

amphi_aac *amphi_aac_new(int bitrate);
void amphi_aac_free(amphi_aac *a);
int amphi_aac_config(amphi_aac *a, uint8_t *out, int space);

// Encodes 1024 interleaved stereo samples at 48 kHz that begin at sample pts. Returns the size
// of the access unit written to out, 0 if there is none yet, or an error. out_pts is where what
// it decodes to begins, the encoder's delay taken off.
int amphi_aac_encode(amphi_aac *a, const float *pcm, int64_t pts, uint8_t *out, int space, int64_t *out_pts);

unsigned amphi_lavc_version(void);

#endif
