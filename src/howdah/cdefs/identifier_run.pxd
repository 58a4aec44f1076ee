"""How long a run of characters of an identifier is, sixteen bytes at a time.

A loop over bytes ends where the processor did not expect it to, once a word, which costs more than the loop.
"""

from libc.stdint cimport uint8_t

cdef extern from *:
    """
    #include <stdint.h>
    #ifdef __SSE2__
    #include <emmintrin.h>
    static inline __m128i howdah_in_range(__m128i bytes, char first, char size) {
        __m128i shifted = _mm_sub_epi8(bytes, _mm_set1_epi8((char)(first + 128)));  /* the first becomes -128 */
        return _mm_cmplt_epi8(shifted, _mm_set1_epi8((char)(size - 128)));
    }
    static inline unsigned howdah_identifier_run(const uint8_t *at) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)at);
        __m128i letters = howdah_in_range(_mm_or_si128(bytes, _mm_set1_epi8(32)), 'a', 26);
        __m128i digits = howdah_in_range(bytes, '0', 10);
        __m128i others = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('_')),
                                      _mm_cmpeq_epi8(bytes, _mm_set1_epi8('$')));
        __m128i all = _mm_or_si128(_mm_or_si128(letters, digits), _mm_or_si128(others, bytes));  /* sign: >= 128 */
        return (unsigned)__builtin_ctz(~(unsigned)_mm_movemask_epi8(all) | 0x10000u);
    }
    #else
    static inline unsigned howdah_identifier_run(const uint8_t *at) {
        unsigned n = 0;
        while (n < 16 && ((at[n] | 32) - 'a' < 26u || at[n] - '0' < 10u
                          || at[n] == '_' || at[n] == '$' || at[n] >= 128))
            n++;
        return n;
    }
    #endif
    """
    # Of ASCII's letters and digits, "_", "$" and bytes from 128 on: how many of the 16 bytes at `at` come first.
    unsigned int identifier_run "howdah_identifier_run"(const uint8_t *at) noexcept nogil
