/*
 * The floor: what it costs to read the kernel files at all, from the cheapest program that can.
 *
 *     floor RATE_HZ TICKS PRIORITY FILE...
 *
 * It does what no sampler can do without: sleep until an absolute deadline, under SCHED_FIFO and with its memory
 * locked, and read every file until a read returns nothing; seq_file hands out a page at a time, and only the empty
 * read says that there is no more. It keeps, compares and compresses nothing. A deadline that has passed is
 * counted and left out, as the sampler does.
 *
 * CPU time is that of CLOCK_PROCESS_CPUTIME_ID, which the scheduler keeps to the nanosecond; getrusage() may be
 * counted in jiffies of 1 to 10 ms, as long as a tick. Prints one line of JSON.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000L
/* Ticks before those that count: the first ones fault and miss every cache. */
#define WARM_UP_TICKS 100
#define MAX_FILES 16
#define BUFFER_BYTES (4 << 20)

static char buffers[MAX_FILES][BUFFER_BYTES];
static int descriptors[MAX_FILES];

static long now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Reads one file to its end; -1 when the kernel refuses. */
static long read_whole(int number)
{
	long size = 0, more;

	do {
		more = pread(descriptors[number], buffers[number] + size, BUFFER_BYTES - size, size);
		if (more < 0)
			return -1;
		size += more;
	} while (more > 0);
	return size;
}

static long read_all(int files)
{
	long total = 0;

	for (int number = 0; number < files; number++) {
		long size = read_whole(number);

		if (size < 0) {
			perror("floor: read");
			exit(1);
		}
		total += size;
	}
	return total;
}

int main(int argc, char **argv)
{
	if (argc < 5 || argc - 4 > MAX_FILES || atol(argv[1]) < 1) {
		fprintf(stderr, "usage: floor RATE_HZ TICKS PRIORITY FILE... (at most %d)\n", MAX_FILES);
		return 2;
	}
	long period_ns = NS_PER_S / atol(argv[1]), ticks = atol(argv[2]);
	int files = argc - 4;

	for (int number = 0; number < files; number++) {
		descriptors[number] = open(argv[4 + number], O_RDONLY | O_CLOEXEC);
		if (descriptors[number] < 0) {
			perror(argv[4 + number]);
			return 1;
		}
	}
	/* Either may be refused; the sampler is then refused, too, and the comparison still holds. */
	struct sched_param param = {.sched_priority = atoi(argv[3])};
	int realtime = param.sched_priority > 0 && sched_setscheduler(0, SCHED_FIFO, &param) == 0;
	int locked = mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;

	long bytes = 0, missed = 0, cpu_ns = 0, deadline_ns = now_ns(CLOCK_MONOTONIC) + period_ns;

	for (long tick = -WARM_UP_TICKS; tick < ticks; tick++) {
		struct timespec deadline = {deadline_ns / NS_PER_S, deadline_ns % NS_PER_S};

		if (tick == 0) {
			cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
			missed = 0;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL);
		long late = (now_ns(CLOCK_MONOTONIC) - deadline_ns) / period_ns;

		missed += late;
		deadline_ns += (1 + late) * period_ns;
		bytes = read_all(files);
	}
	cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	printf("{\"ticks\": %ld, \"cpu_ns\": %ld, \"missed\": %ld, \"bytes\": %ld, \"realtime\": %s, \"locked\": %s}\n",
	       ticks, cpu_ns, missed, bytes, realtime ? "true" : "false", locked ? "true" : "false");
	return 0;
}
