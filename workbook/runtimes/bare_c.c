/* Kernels of a small network: no heap, no libc, every buffer static. bare_c.py puts sizes and weights around them.
   One inference at a time: the buffers belong to all callers together. */
#include <stdint.h>

#if INT8
typedef int8_t weight_t;
typedef int8_t value_t; /* an activation; 0 is zero, and its scale belongs to the whole layer */
typedef int32_t sum_t;
typedef struct { int32_t factor; uint8_t shift; } scale_t; /* factor / 2^shift takes a sum to the next layer's unit */

static value_t activate(sum_t sum, const scale_t *scale, int channel)
{
    if (sum <= 0)
        return 0; /* the ReLU; so that no negative number is shifted, too */
    int64_t product = (int64_t)sum * scale[channel].factor + ((int64_t)1 << (scale[channel].shift - 1));
    product >>= scale[channel].shift;
    return (value_t)(product > 127 ? 127 : product);
}

static void quantize(const float *image, value_t *values, int count, float per_unit)
{
    for (int i = 0; i < count; i++) {
        float x = image[i] * per_unit;
        x = x < 127.0f ? x : 127.0f; /* NaN ends here, too */
        x = x > -127.0f ? x : -127.0f;
        values[i] = (value_t)(x < 0 ? x - 0.5f : x + 0.5f);
    }
}
#else
typedef float weight_t;
typedef float value_t;
typedef float sum_t;
typedef char scale_t; /* float32 needs no scales */

static value_t activate(sum_t sum, const scale_t *scale, int channel)
{
    (void)scale, (void)channel;
    return sum > 0 ? sum : 0;
}
#endif

static sum_t dot(const value_t *x, const weight_t *weight, sum_t sum, int count)
{
    for (int i = 0; i < count; i++)
        sum += (sum_t)weight[i] * x[i];
    return sum;
}

/* y[out] = ReLU(weight[out][in] · x[in] + bias[out]) */
static inline void linear(const value_t *x, value_t *y, const weight_t *weight, const sum_t *bias, const scale_t *scale,
                          int in, int out)
{
    for (int o = 0; o < out; o++)
        y[o] = activate(dot(x, weight + o * in, bias[o], in), scale, o);
}

/* The last layer: as above, without the ReLU, in the unit of the logits. */
static void classify(const value_t *x, float *logits, const weight_t *weight, const sum_t *bias, const float *unit,
                     int in, int out)
{
    for (int o = 0; o < out; o++)
        logits[o] = (float)dot(x, weight + o * in, bias[o], in) * unit[o];
}

/* A 3x3 convolution with a border of zeros, ReLU, and the largest of each pool x pool square: the map before the
   pooling is never stored. x[in][height][width], weight[out][in][3][3], y[out][height / pool][width / pool]. */
static inline void convolve(const value_t *x, value_t *y, const weight_t *weight, const sum_t *bias,
                            const scale_t *scale, int in, int out, int height, int width, int pool)
{
    for (int o = 0; o < out; o++, weight += in * 9)
        for (int row = 0; row + pool <= height; row += pool)
            for (int column = 0; column + pool <= width; column += pool) {
                sum_t best = 0; /* what the ReLU leaves of every sum below it */
                for (int square = 0; square < pool * pool; square++) {
                    int v = row + square / pool, h = column + square % pool;
                    int left = h == 0, right = h == width - 1 ? 2 : 3;
                    sum_t sum = bias[o];
                    for (int i = 0; i < in; i++)
                        for (int k = v == 0; k < (v == height - 1 ? 2 : 3); k++)
                            sum = dot(x + (i * height + v + k - 1) * width + h + left - 1, weight + (i * 3 + k) * 3 + left,
                                      sum, right - left);
                    best = sum > best ? sum : best;
                }
                *y++ = activate(best, scale, o);
            }
}
