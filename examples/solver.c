/* Heat conduction in a rod of n points, held at 1 on the left and at 0 on the right; writes the profile as CSV. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **words)
{
    int n = 0, steps = 0;
    double dt = 0.0;
    const char *out = NULL;
    for (int i = 1; i + 1 < count; i += 2) {
        if (strcmp(words[i], "--n") == 0) n = atoi(words[i + 1]);
        else if (strcmp(words[i], "--steps") == 0) steps = atoi(words[i + 1]);
        else if (strcmp(words[i], "--dt") == 0) dt = atof(words[i + 1]);
        else if (strcmp(words[i], "--out") == 0) out = words[i + 1];
    }
    if (n < 3 || out == NULL) {
        fprintf(stderr, "usage: solver --n POINTS --steps STEPS --dt DT --out FILE\n");
        return 2;
    }
    double r = dt * (n - 1) * (n - 1);
    if (r > 0.5) {
        fprintf(stderr, "unstable: dt * (n - 1)^2 is %g, and may be 0.5 at most\n", r);
        return 3;
    }
    double *now = calloc((size_t)n, sizeof *now), *next = calloc((size_t)n, sizeof *next);
    now[0] = next[0] = 1.0;
    for (int step = 0; step < steps; step++) {
        for (int i = 1; i < n - 1; i++) next[i] = now[i] + r * (now[i - 1] - 2 * now[i] + now[i + 1]);
        double *swap = now; now = next; next = swap;
    }
    printf("%d points, %d steps: %.4f in the middle\n", n, steps, now[n / 2]);
    FILE *file = fopen(out, "w");
    if (file == NULL) return 4;
    for (int i = 0; i < n; i++) fprintf(file, "%.6f,%.6f\n", (double)i / (n - 1), now[i]);
    return fclose(file) == 0 ? 0 : 4;
}
