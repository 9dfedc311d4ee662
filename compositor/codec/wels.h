// libopenh264 behind plain C types. Apart from lavc.h, as the headers of both libraries define
// names that collide. See wels.c.
#ifndef AMPHI_WELS_H
#define AMPHI_WELS_H

#include <stdint.h>

typedef struct amphi_h264 amphi_h264;

amphi_h264 *amphi_h264_new(int width, int height, float fps, int bitrate);
void amphi_h264_free(amphi_h264 *e);

// Encodes one I420 picture. Returns the size of the access unit (Annex B) written to out, or a
// negative number. *key says whether it is an IDR.
int amphi_h264_encode(amphi_h264 *e, const uint8_t *y, const uint8_t *u, const uint8_t *v, int y_stride,
	int c_stride, int64_t ms, int force_key, uint8_t *out, int space, int *key);

void amphi_h264_version(int *major, int *minor, int *revision);

#endif
