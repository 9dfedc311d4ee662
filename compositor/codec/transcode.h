// AAC to PCM and PCM to Opus behind plain C types. See transcode.c.
#ifndef AMPHI_TRANSCODE_H
#define AMPHI_TRANSCODE_H

#include <stdint.h>
#include <opus.h>

typedef struct amphi_aac_decoder amphi_aac_decoder;

// config is an AudioSpecificConfig.
amphi_aac_decoder *amphi_aac_decoder_new(const uint8_t *config, int size);
void amphi_aac_decoder_free(amphi_aac_decoder *d);

// Decodes one access unit to interleaved stereo at 48 kHz. space is in samples per channel, and so
// is the result, which may be 0; or it is an error of lavc.h.
int amphi_aac_decoder_decode(amphi_aac_decoder *d, const uint8_t *data, int size, float *out, int space);

// Has the next distance samples be so many more, or fewer, than they would be.
int amphi_aac_decoder_stretch(amphi_aac_decoder *d, int more, int distance);

OpusEncoder *amphi_opus_new(int bitrate);
int amphi_opus_lookahead(OpusEncoder *e);

#endif
