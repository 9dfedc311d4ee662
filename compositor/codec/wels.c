#include "wels.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <wels/codec_api.h>
#include <wels/codec_ver.h>

struct amphi_h264 {
	ISVCEncoder *enc;
	int width, height;
};

amphi_h264 *amphi_h264_new(int width, int height, float fps, int bitrate) {
	amphi_h264 *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->width = width;
	e->height = height;
	if (WelsCreateSVCEncoder(&e->enc) != 0 || !e->enc) {
		free(e);
		return NULL;
	}
	int quiet = WELS_LOG_QUIET;
	(*e->enc)->SetOption(e->enc, ENCODER_OPTION_TRACE_LEVEL, &quiet);

	SEncParamExt p;
	if ((*e->enc)->GetDefaultParams(e->enc, &p) != 0)
		goto fail;
	p.iUsageType = CAMERA_VIDEO_REAL_TIME;
	p.iPicWidth = width;
	p.iPicHeight = height;
	p.fMaxFrameRate = fps;
	p.iTargetBitrate = bitrate;
	p.iMaxBitrate = bitrate + bitrate / 5;
	p.iRCMode = RC_BITRATE_MODE;
	p.bEnableFrameSkip = false; // every tick has a picture
	// Without bounds of ours QP ends at 42, and noisy pictures take half as much again as they may.
	p.iMinQp = 12;
	p.iMaxQp = 51;
	p.iComplexityMode = LOW_COMPLEXITY;
	p.iEntropyCodingModeFlag = 1; // CABAC
	p.uiIntraPeriod = 0;          // key frames are forced by tick, on all renditions at once
	p.eSpsPpsIdStrategy = CONSTANT_ID;
	p.bPrefixNalAddingCtrl = false;
	p.bEnableSceneChangeDetect = false;
	p.bEnableLongTermReference = false;
	p.bEnableDenoise = false;
	p.bEnableAdaptiveQuant = false;
	p.bEnableBackgroundDetection = false; // costs a twelfth of the worker's time
	p.iMultipleThreadIdc = 1;
	p.iTemporalLayerNum = 1;
	p.iSpatialLayerNum = 1;
	SSpatialLayerConfig *l = &p.sSpatialLayers[0];
	l->iVideoWidth = width;
	l->iVideoHeight = height;
	l->fFrameRate = fps;
	l->iSpatialBitrate = p.iTargetBitrate;
	l->iMaxSpatialBitrate = p.iMaxBitrate;
	l->uiProfileIdc = PRO_HIGH;
	l->uiLevelIdc = LEVEL_UNKNOWN;
	l->sSliceArgument.uiSliceMode = SM_SINGLE_SLICE;
	// Browsers' cameras give BT.601, and players take HD without a note for BT.709.
	l->bVideoSignalTypePresent = true;
	l->uiVideoFormat = VF_UNDEF;
	l->bFullRange = false;
	l->bColorDescriptionPresent = true;
	l->uiColorPrimaries = CP_SMPTE170M;
	l->uiTransferCharacteristics = TRC_SMPTE170M;
	l->uiColorMatrix = CM_SMPTE170M;
	if ((*e->enc)->InitializeExt(e->enc, &p) != 0)
		goto fail;
	int format = videoFormatI420;
	(*e->enc)->SetOption(e->enc, ENCODER_OPTION_DATAFORMAT, &format);
	return e;
fail:
	amphi_h264_free(e);
	return NULL;
}

void amphi_h264_free(amphi_h264 *e) {
	if (!e)
		return;
	(*e->enc)->Uninitialize(e->enc);
	WelsDestroySVCEncoder(e->enc);
	free(e);
}

int amphi_h264_encode(amphi_h264 *e, const uint8_t *y, const uint8_t *u, const uint8_t *v, int y_stride,
	int c_stride, int64_t ms, int force_key, uint8_t *out, int space, int *key) {
	if (force_key)
		(*e->enc)->ForceIntraFrame(e->enc, true);
	SSourcePicture pic;
	memset(&pic, 0, sizeof pic);
	pic.iColorFormat = videoFormatI420;
	pic.iPicWidth = e->width;
	pic.iPicHeight = e->height;
	pic.iStride[0] = y_stride;
	pic.iStride[1] = pic.iStride[2] = c_stride;
	pic.pData[0] = (unsigned char *)y; // read only: the encoder copies it
	pic.pData[1] = (unsigned char *)u;
	pic.pData[2] = (unsigned char *)v;
	pic.uiTimeStamp = ms;
	SFrameBSInfo info;
	memset(&info, 0, sizeof info);
	if ((*e->enc)->EncodeFrame(e->enc, &pic, &info) != cmResultSuccess)
		return -1;
	*key = info.eFrameType == videoFrameTypeIDR;
	int size = 0;
	for (int i = 0; i < info.iLayerNum; i++) {
		const SLayerBSInfo *layer = &info.sLayerInfo[i];
		int n = 0;
		for (int k = 0; k < layer->iNalCount; k++)
			n += layer->pNalLengthInByte[k];
		if (size + n > space)
			return -1;
		memcpy(out + size, layer->pBsBuf, n);
		size += n;
	}
	return size;
}

void amphi_h264_version(int *major, int *minor, int *revision) {
	OpenH264Version v = WelsGetCodecVersion();
	*major = v.uMajor;
	*minor = v.uMinor;
	*revision = v.uRevision;
}
