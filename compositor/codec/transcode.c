#include "transcode.h"
#include "lavc.h"

#include <string.h>
#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libavutil/frame.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>

struct amphi_aac_decoder {
	AVCodecContext *ctx;
	AVPacket *packet;
	AVFrame *frame;
	SwrContext *swr; // NULL before the first frame
	// What swr takes: only the frames tell whether SBR doubles the rate that the config names.
	int rate;
	enum AVSampleFormat format;
	AVChannelLayout layout;
};

amphi_aac_decoder *amphi_aac_decoder_new(const uint8_t *config, int size) {
	av_log_set_level(AV_LOG_QUIET);
	const AVCodec *impl = avcodec_find_decoder_by_name("aac");
	if (!impl)
		return NULL;
	amphi_aac_decoder *d = av_mallocz(sizeof *d);
	if (!d)
		return NULL;
	d->ctx = avcodec_alloc_context3(impl);
	d->packet = av_packet_alloc();
	d->frame = av_frame_alloc();
	if (!d->ctx || !d->packet || !d->frame)
		goto fail;
	d->ctx->extradata = av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE);
	if (!d->ctx->extradata)
		goto fail;
	memcpy(d->ctx->extradata, config, size);
	d->ctx->extradata_size = size;
	if (avcodec_open2(d->ctx, impl, NULL) < 0)
		goto fail;
	return d;
fail:
	amphi_aac_decoder_free(d);
	return NULL;
}

void amphi_aac_decoder_free(amphi_aac_decoder *d) {
	if (!d)
		return;
	avcodec_free_context(&d->ctx);
	av_packet_free(&d->packet);
	av_frame_free(&d->frame);
	swr_free(&d->swr);
	av_channel_layout_uninit(&d->layout);
	av_free(d);
}

// Makes swr take what the decoder gives.
static int adapt(amphi_aac_decoder *d) {
	const AVFrame *f = d->frame;
	if (d->swr && f->sample_rate == d->rate && f->format == d->format && !av_channel_layout_compare(&f->ch_layout, &d->layout))
		return 0;
	swr_free(&d->swr);
	AVChannelLayout stereo = AV_CHANNEL_LAYOUT_STEREO;
	if (av_channel_layout_copy(&d->layout, &f->ch_layout) < 0 ||
	    swr_alloc_set_opts2(&d->swr, &stereo, AV_SAMPLE_FMT_FLT, 48000, &d->layout, f->format, f->sample_rate, 0, NULL) < 0)
		return -1;
	// It resamples at 48 kHz too, so that it can stretch.
	av_opt_set_int(d->swr, "flags", SWR_FLAG_RESAMPLE, 0);
	if (swr_init(d->swr) < 0) {
		swr_free(&d->swr);
		return -1;
	}
	d->rate = f->sample_rate;
	d->format = f->format;
	return 0;
}

int amphi_aac_decoder_decode(amphi_aac_decoder *d, const uint8_t *data, int size, float *out, int space) {
	if (av_new_packet(d->packet, size) < 0) // with zeroed padding, over which the decoder may read
		return AMPHI_NO_MEMORY;
	memcpy(d->packet->data, data, size);
	int err = avcodec_send_packet(d->ctx, d->packet);
	av_packet_unref(d->packet);
	int n = 0;
	while (err >= 0) {
		err = avcodec_receive_frame(d->ctx, d->frame);
		if (err < 0)
			break;
		int got = AMPHI_DAMAGED;
		if (adapt(d) == 0) {
			uint8_t *to = (uint8_t *)(out + 2 * n);
			got = swr_convert(d->swr, &to, space - n, (const uint8_t **)d->frame->extended_data, d->frame->nb_samples);
		}
		av_frame_unref(d->frame);
		if (got < 0)
			return AMPHI_DAMAGED;
		n += got;
	}
	return err == AVERROR(EAGAIN) ? n : AMPHI_DAMAGED;
}

int amphi_aac_decoder_stretch(amphi_aac_decoder *d, int more, int distance) {
	return d->swr ? swr_set_compensation(d->swr, more, distance) : 0;
}

OpusEncoder *amphi_opus_new(int bitrate) {
	int err;
	OpusEncoder *e = opus_encoder_create(48000, 2, OPUS_APPLICATION_AUDIO, &err);
	if (!e)
		return NULL;
	if (opus_encoder_ctl(e, OPUS_SET_BITRATE(bitrate)) != OPUS_OK) {
		opus_encoder_destroy(e);
		return NULL;
	}
	return e;
}

int amphi_opus_lookahead(OpusEncoder *e) {
	opus_int32 n = 0;
	return opus_encoder_ctl(e, OPUS_GET_LOOKAHEAD(&n)) == OPUS_OK ? n : 0;
}
