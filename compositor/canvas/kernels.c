#include "kernels.h"

#include <string.h>

// The loops are written for the compiler to vectorize; on x86-64 they are compiled twice and the
// wider version is chosen when the program is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

// One output row of the vertical pass. Weights sum up to 256, so that sums fit 16 bits.
WIDE static void rows2(const uint8_t *restrict a, const uint8_t *restrict b, uint16_t wa, uint16_t wb,
	uint8_t *restrict out, int n) {
	for (int i = 0; i < n; i++)
		out[i] = (uint8_t)((uint16_t)(a[i] * wa + b[i] * wb + 128) >> 8);
}

WIDE static void rows3(const uint8_t *restrict a, const uint8_t *restrict b, const uint8_t *restrict c, uint16_t wa,
	uint16_t wb, uint16_t wc, uint8_t *restrict out, int n) {
	for (int i = 0; i < n; i++)
		out[i] = (uint8_t)((uint16_t)(a[i] * wa + b[i] * wb + c[i] * wc + 128) >> 8);
}

WIDE static void rows_many(const uint8_t *restrict src, int stride, const uint16_t *restrict w, int taps,
	uint8_t *restrict out, int n) {
	enum { BLOCK = 256 };
	uint16_t sum[BLOCK];
	for (int at = 0; at < n; at += BLOCK) {
		int m = n - at < BLOCK ? n - at : BLOCK;
		for (int i = 0; i < m; i++)
			sum[i] = 128;
		for (int t = 0; t < taps; t++) {
			const uint8_t *s = src + (long)t * stride + at;
			uint16_t wt = w[t];
			for (int i = 0; i < m; i++)
				sum[i] = (uint16_t)(sum[i] + s[i] * wt);
		}
		for (int i = 0; i < m; i++)
			out[at + i] = (uint8_t)(sum[i] >> 8);
	}
}

// Columns are mixed sixteen rows at a time, turned on their side: then neighbouring pixels of a
// column lie in one vector, and a destination pixel's place in the row costs nothing.
enum { TURN = 16 };
typedef uint8_t v16 __attribute__((vector_size(TURN)));
typedef uint16_t w16 __attribute__((vector_size(2 * TURN)));

// Turns a block of 16x16 bytes by four perfect shuffles.
static inline void turn(const uint8_t *src, long src_stride, uint8_t *dst, long dst_stride) {
	const v16 low = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
	const v16 high = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
	v16 a[TURN], b[TURN];
	for (int i = 0; i < TURN; i++)
		memcpy(&a[i], src + i * src_stride, TURN);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 8; i++) {
			b[2 * i] = __builtin_shuffle(a[i], a[i + 8], low);
			b[2 * i + 1] = __builtin_shuffle(a[i], a[i + 8], high);
		}
		for (int i = 0; i < 8; i++) {
			a[2 * i] = __builtin_shuffle(b[i], b[i + 8], low);
			a[2 * i + 1] = __builtin_shuffle(b[i], b[i + 8], high);
		}
	}
	for (int i = 0; i < TURN; i++)
		memcpy(dst + i * dst_stride, &a[i], TURN);
}

// One destination column of sixteen rows, from columns at src.
static inline __attribute__((always_inline)) void column(const uint8_t *restrict src, const uint16_t *restrict w,
	int taps, uint8_t *restrict out) {
	w16 sum = (w16){} + 128;
	for (int t = 0; t < taps; t++, src += TURN) {
		v16 s;
		memcpy(&s, src, TURN);
		sum += __builtin_convertvector(s, w16) * w[t];
	}
	v16 mixed = __builtin_convertvector(sum >> 8, v16);
	memcpy(out, &mixed, TURN);
}

WIDE static void columns(const uint8_t *restrict turned, const int32_t *restrict at, const uint16_t *restrict w, int taps,
	uint8_t *restrict out, int n) {
	// With a known number of taps the compiler keeps the sums in registers.
	switch (taps) {
	case 2:
		for (int x = 0; x < n; x++)
			column(turned + TURN * at[x], w + 2 * x, 2, out + TURN * x);
		break;
	case 3:
		for (int x = 0; x < n; x++)
			column(turned + TURN * at[x], w + 3 * x, 3, out + TURN * x);
		break;
	case 4:
		for (int x = 0; x < n; x++)
			column(turned + TURN * at[x], w + 4 * x, 4, out + TURN * x);
		break;
	default:
		for (int x = 0; x < n; x++)
			column(turned + TURN * at[x], w + taps * x, taps, out + TURN * x);
	}
}

static long padded(int n) { return (n + TURN - 1) / TURN * TURN; }

long amphi_scratch(int src_w, int dst_w) { return TURN * (2 * padded(src_w) + padded(dst_w) + TURN); }

void amphi_scale(const uint8_t *src, int src_stride, int src_w, uint8_t *dst, int dst_stride, int dst_w, int dst_h,
	const int32_t *vat, const uint16_t *vw, int vtaps, const int32_t *hat, const uint16_t *hw, int htaps,
	uint8_t *scratch) {
	long row_stride = padded(src_w);
	uint8_t *rows = scratch, *turned = rows + TURN * row_stride, *mixed = turned + TURN * row_stride;
	uint8_t *block = mixed + TURN * padded(dst_w);
	for (int top = 0; top < dst_h; top += TURN) {
		int n = dst_h - top < TURN ? dst_h - top : TURN;
		for (int y = 0; y < n; y++) {
			const uint8_t *s = src + (long)vat[top + y] * src_stride;
			const uint16_t *w = vw + (long)(top + y) * vtaps;
			uint8_t *out = rows + y * row_stride;
			if (vtaps == 1)
				memcpy(out, s, src_w);
			else if (vtaps == 2)
				rows2(s, s + src_stride, w[0], w[1], out, src_w);
			else if (vtaps == 3)
				rows3(s, s + src_stride, s + 2 * src_stride, w[0], w[1], w[2], out, src_w);
			else
				rows_many(s, src_stride, w, vtaps, out, src_w);
		}
		for (int x = 0; x < src_w; x += TURN)
			turn(rows + x, row_stride, turned + TURN * (long)x, TURN);
		columns(turned, hat, hw, htaps, mixed, dst_w);
		for (int x = 0; x < dst_w; x += TURN) {
			uint8_t *to = dst + (long)top * dst_stride + x;
			if (n == TURN && x + TURN <= dst_w) {
				turn(mixed + TURN * (long)x, TURN, to, dst_stride);
				continue;
			}
			int m = dst_w - x < TURN ? dst_w - x : TURN;
			turn(mixed + TURN * (long)x, TURN, block, TURN);
			for (int y = 0; y < n; y++)
				memcpy(to + (long)y * dst_stride, block + TURN * y, m);
		}
	}
}

typedef uint16_t pair __attribute__((aligned(1), may_alias));

WIDE static void half_row(const uint8_t *restrict a, const uint8_t *restrict b, uint8_t *restrict out, int n) {
	// Two neighbours are read as one number and taken apart, whichever way round they are.
	const pair *p = (const pair *)a, *q = (const pair *)b;
	for (int i = 0; i < n; i++) {
		uint16_t s = (uint16_t)((p[i] & 0xff) + (p[i] >> 8) + (q[i] & 0xff) + (q[i] >> 8) + 2);
		out[i] = (uint8_t)(s >> 2);
	}
}

void amphi_half(const uint8_t *src, int src_stride, uint8_t *dst, int dst_stride, int dst_w, int dst_h) {
	for (int y = 0; y < dst_h; y++, src += 2 * src_stride, dst += dst_stride)
		half_row(src, src + src_stride, dst, dst_w);
}

void amphi_copy(const uint8_t *src, int src_stride, uint8_t *dst, int dst_stride, int w, int h) {
	for (; h > 0; h--, src += src_stride, dst += dst_stride)
		memcpy(dst, src, w);
}

// (x*257 + 257) >> 16 is x/255 rounded, for x up to 255*255 with 128 added.
#define BLEND(d, s, a) (uint8_t)(((uint32_t)((d) * (255 - (a)) + (s) * (a) + 128) * 257) >> 16)

WIDE static void blend_row(const uint8_t *restrict s, const uint8_t *restrict a, uint8_t *restrict d, int w) {
	for (int x = 0; x < w; x++)
		d[x] = BLEND(d[x], s[x], a[x]);
}

void amphi_blend(const uint8_t *src, int src_stride, const uint8_t *alpha, int alpha_stride,
	uint8_t *dst, int dst_stride, int w, int h) {
	for (; h > 0; h--, src += src_stride, alpha += alpha_stride, dst += dst_stride)
		blend_row(src, alpha, dst, w);
}

WIDE static void blend_half_row(const uint8_t *restrict s, const uint8_t *restrict a, const uint8_t *restrict b,
	uint8_t *restrict d, int w) {
	for (int x = 0; x < w; x++) {
		int m = (a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1] + 2) >> 2;
		d[x] = BLEND(d[x], s[x], m);
	}
}

void amphi_blend_half(const uint8_t *src, int src_stride, const uint8_t *alpha, int alpha_stride,
	uint8_t *dst, int dst_stride, int w, int h) {
	for (; h > 0; h--, src += src_stride, alpha += 2 * alpha_stride, dst += dst_stride)
		blend_half_row(src, alpha, alpha + alpha_stride, dst, w);
}
