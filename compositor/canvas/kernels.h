// Pixel loops of package canvas: planes of bytes, strides in bytes. See kernels.c.
#ifndef AMPHI_KERNELS_H
#define AMPHI_KERNELS_H

#include <stdint.h>

// Resamples a plane. vat[y] is the first source row of destination row y, vw[y*vtaps..] are its
// weights, which sum up to 256; hat and hw are the same for columns.
// scratch has room for amphi_scratch bytes.
void amphi_scale(const uint8_t *src, int src_stride, int src_w, uint8_t *dst, int dst_stride, int dst_w, int dst_h,
	const int32_t *vat, const uint16_t *vw, int vtaps, const int32_t *hat, const uint16_t *hw, int htaps,
	uint8_t *scratch);
long amphi_scratch(int src_w, int dst_w);

// Halves a plane in both directions.
void amphi_half(const uint8_t *src, int src_stride, uint8_t *dst, int dst_stride, int dst_w, int dst_h);

void amphi_copy(const uint8_t *src, int src_stride, uint8_t *dst, int dst_stride, int w, int h);

// Blends a plane over another by 8-bit alpha; amphi_blend_half by the mean of 2x2 alphas.
void amphi_blend(const uint8_t *src, int src_stride, const uint8_t *alpha, int alpha_stride,
	uint8_t *dst, int dst_stride, int w, int h);
void amphi_blend_half(const uint8_t *src, int src_stride, const uint8_t *alpha, int alpha_stride,
	uint8_t *dst, int dst_stride, int w, int h);

#endif
