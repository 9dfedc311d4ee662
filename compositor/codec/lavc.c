#include "lavc.h"

#include <string.h>
#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>

struct amphi_decoder {
	AVCodecContext *ctx;
	AVPacket *packet;
	AVFrame *frame;
	int long_side, short_side;
	int too_large; // the last frame was refused for its size
};

static int size_fits(const amphi_decoder *d, int w, int h) {
	int longer = w > h ? w : h, shorter = w > h ? h : w;
	return longer <= d->long_side && shorter <= d->short_side;
}

// Only plain 8-bit 4:2:0 in memory: no hardware, no deep colour, no 4:4:4.
static enum AVPixelFormat choose_format(AVCodecContext *ctx, const enum AVPixelFormat *formats) {
	for (; *formats != AV_PIX_FMT_NONE; formats++)
		if (*formats == AV_PIX_FMT_YUV420P || *formats == AV_PIX_FMT_YUVJ420P)
			return *formats;
	return AV_PIX_FMT_NONE;
}

// Called before memory is taken for a picture.
static int get_buffer(AVCodecContext *ctx, AVFrame *frame, int flags) {
	amphi_decoder *d = ctx->opaque;
	if (!size_fits(d, frame->width, frame->height)) {
		d->too_large = 1;
		return AVERROR(EINVAL);
	}
	if (frame->format != AV_PIX_FMT_YUV420P && frame->format != AV_PIX_FMT_YUVJ420P)
		return AVERROR(EINVAL);
	return avcodec_default_get_buffer2(ctx, frame, flags);
}

amphi_decoder *amphi_decoder_new(int codec, int long_side, int short_side) {
	av_log_set_level(AV_LOG_QUIET);
	const AVCodec *impl = NULL;
	// By name: avcodec_find_decoder may prefer another implementation.
	if (codec == AMPHI_VP8)
		impl = avcodec_find_decoder_by_name("vp8");
	else if (codec == AMPHI_H264)
		impl = avcodec_find_decoder_by_name("h264");
	else if (codec == AMPHI_VP9) // not libvpx, which takes memory for a picture before we see its size
		impl = avcodec_find_decoder_by_name("vp9");
	else if (codec == AMPHI_AV1) // is told max_pixels
		impl = avcodec_find_decoder_by_name("libdav1d");
	if (!impl)
		return NULL;
	amphi_decoder *d = av_mallocz(sizeof *d);
	if (!d)
		return NULL;
	d->long_side = long_side;
	d->short_side = short_side;
	d->ctx = avcodec_alloc_context3(impl);
	d->packet = av_packet_alloc();
	d->frame = av_frame_alloc();
	if (!d->ctx || !d->packet || !d->frame)
		goto fail;
	d->ctx->opaque = d;
	d->ctx->thread_count = 1; // frame threads add a frame of delay each
	d->ctx->flags |= AV_CODEC_FLAG_LOW_DELAY;
	d->ctx->max_pixels = (int64_t)long_side * short_side;
	d->ctx->get_format = choose_format;
	d->ctx->get_buffer2 = get_buffer;
	if (avcodec_open2(d->ctx, impl, NULL) < 0)
		goto fail;
	return d;
fail:
	amphi_decoder_free(d);
	return NULL;
}

void amphi_decoder_free(amphi_decoder *d) {
	if (!d)
		return;
	avcodec_free_context(&d->ctx);
	av_packet_free(&d->packet);
	av_frame_free(&d->frame);
	av_free(d);
}

void amphi_decoder_flush(amphi_decoder *d) { avcodec_flush_buffers(d->ctx); }

static int failure(const amphi_decoder *d, int err) {
	if (err == AVERROR(ENOMEM))
		return AMPHI_NO_MEMORY;
	return d->too_large ? AMPHI_TOO_LARGE : AMPHI_DAMAGED;
}

int amphi_decoder_decode(amphi_decoder *d, const uint8_t *data, int size, amphi_picture *out) {
	memset(out, 0, sizeof *out);
	d->too_large = 0;
	// A packet of our own: the decoder reads over the end of the data, into zeroed padding.
	if (av_new_packet(d->packet, size) < 0)
		return AMPHI_NO_MEMORY;
	memcpy(d->packet->data, data, size);
	int err = avcodec_send_packet(d->ctx, d->packet);
	av_packet_unref(d->packet);
	AVFrame *last = NULL;
	int broken = 0;
	while (err >= 0) {
		err = avcodec_receive_frame(d->ctx, d->frame);
		if (err < 0)
			break;
		if (d->frame->decode_error_flags || (d->frame->flags & AV_FRAME_FLAG_CORRUPT))
			broken = 1;
		// The newest of several is the one to show.
		if (!last)
			last = av_frame_alloc();
		if (!last) {
			av_frame_unref(d->frame);
			return AMPHI_NO_MEMORY;
		}
		av_frame_unref(last);
		av_frame_move_ref(last, d->frame);
	}
	if (err != AVERROR(EAGAIN) || broken) {
		av_frame_free(&last);
		return failure(d, err);
	}
	if (!last)
		return 0;
	if (!size_fits(d, last->width, last->height)) {
		av_frame_free(&last);
		return AMPHI_TOO_LARGE;
	}
	if (last->format != AV_PIX_FMT_YUV420P && last->format != AV_PIX_FMT_YUVJ420P) {
		av_frame_free(&last);
		return AMPHI_DAMAGED;
	}
	out->frame = last;
	out->width = last->width;
	out->height = last->height;
	for (int i = 0; i < 3; i++) {
		out->plane[i] = last->data[i];
		out->stride[i] = last->linesize[i];
	}
	return 0;
}

void amphi_picture_free(void *frame) {
	AVFrame *f = frame;
	av_frame_free(&f);
}

struct amphi_aac {
	AVCodecContext *ctx;
	AVPacket *packet;
	AVFrame *frame;
};

amphi_aac *amphi_aac_new(int bitrate) {
	av_log_set_level(AV_LOG_QUIET);
	const AVCodec *impl = avcodec_find_encoder_by_name("aac");
	if (!impl)
		return NULL;
	amphi_aac *a = av_mallocz(sizeof *a);
	if (!a)
		return NULL;
	a->ctx = avcodec_alloc_context3(impl);
	a->packet = av_packet_alloc();
	a->frame = av_frame_alloc();
	if (!a->ctx || !a->packet || !a->frame)
		goto fail;
	AVChannelLayout stereo = AV_CHANNEL_LAYOUT_STEREO;
	a->ctx->sample_fmt = AV_SAMPLE_FMT_FLTP;
	a->ctx->sample_rate = 48000;
	a->ctx->time_base = (AVRational){1, 48000};
	a->ctx->bit_rate = bitrate;
	a->ctx->profile = FF_PROFILE_AAC_LOW;
	a->ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	if (av_channel_layout_copy(&a->ctx->ch_layout, &stereo) < 0)
		goto fail;
	av_opt_set(a->ctx->priv_data, "aac_coder", "fast", 0);
	if (avcodec_open2(a->ctx, impl, NULL) < 0 || a->ctx->frame_size != 1024)
		goto fail;
	a->frame->format = AV_SAMPLE_FMT_FLTP;
	a->frame->nb_samples = 1024;
	a->frame->sample_rate = 48000;
	if (av_channel_layout_copy(&a->frame->ch_layout, &stereo) < 0 || av_frame_get_buffer(a->frame, 0) < 0)
		goto fail;
	return a;
fail:
	amphi_aac_free(a);
	return NULL;
}

void amphi_aac_free(amphi_aac *a) {
	if (!a)
		return;
	avcodec_free_context(&a->ctx);
	av_packet_free(&a->packet);
	av_frame_free(&a->frame);
	av_free(a);
}

int amphi_aac_config(amphi_aac *a, uint8_t *out, int space) {
	if (a->ctx->extradata_size > space)
		return AMPHI_NO_SPACE;
	memcpy(out, a->ctx->extradata, a->ctx->extradata_size);
	return a->ctx->extradata_size;
}

int amphi_aac_encode(amphi_aac *a, const float *pcm, int64_t pts, uint8_t *out, int space, int64_t *out_pts) {
	if (av_frame_make_writable(a->frame) < 0)
		return AMPHI_NO_MEMORY;
	float *left = (float *)a->frame->data[0], *right = (float *)a->frame->data[1];
	for (int i = 0; i < 1024; i++) {
		left[i] = pcm[2 * i];
		right[i] = pcm[2 * i + 1];
	}
	a->frame->pts = pts;
	if (avcodec_send_frame(a->ctx, a->frame) < 0)
		return AMPHI_DAMAGED;
	int err = avcodec_receive_packet(a->ctx, a->packet);
	if (err == AVERROR(EAGAIN))
		return 0;
	if (err < 0)
		return AMPHI_DAMAGED;
	int size = a->packet->size;
	if (size <= space) {
		memcpy(out, a->packet->data, size);
		*out_pts = a->packet->pts;
	} else {
		size = AMPHI_NO_SPACE;
	}
	av_packet_unref(a->packet);
	return size;
}

unsigned amphi_lavc_version(void) { return avcodec_version(); }
