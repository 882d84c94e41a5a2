// What can be said of a run from looking at it repeatedly: how fast it goes and when it will be done. Pure.
import type { Run } from '../../../server/http/contract/stack.ts'

/** One look at a run: records settled by then. `at` in milliseconds since 1970. */
export interface Sample {
  at: number
  done: number
}

const windowMs = 15_000
const keptSamples = 240

/** Still going to change by itself. */
export function runningRun(run: Run): boolean {
  return run.status === 'queued' || run.status === 'running'
}

/** Records that need nothing more in this run: each was written, found unchanged, deleted or set aside. */
export function settled(run: Run): number {
  return run.written + run.skipped + run.failed + run.deleted
}

/** Adds a look. A counter that fell belongs to another attempt: what was seen before no longer tells the rate. */
export function addSample(samples: Sample[], sample: Sample): Sample[] {
  const last = samples.at(-1)
  if (last && sample.at <= last.at) return samples
  if (last && sample.done < last.done) return [sample]
  return [...samples, sample].slice(-keptSamples)
}

/** Records per second over the last 15 s of looking; null until two looks lie a second apart. */
export function rateOf(samples: Sample[]): number | null {
  const last = samples.at(-1)
  if (!last) return null
  const first = samples.find(sample => sample.at >= last.at - windowMs) ?? last
  const seconds = (last.at - first.at) / 1000
  return seconds < 1 ? null : (last.done - first.done) / seconds
}

/** Milliseconds until the total is reached at this rate; null when unknown or not moving. */
export function timeLeft(done: number, total: number | null, rate: number | null): number | null {
  if (total === null || rate === null || rate <= 0) return null
  return (Math.max(0, total - done) / rate) * 1000
}

/** Records per second between looks, for the plot. */
export function rates(samples: Sample[]): number[] {
  return samples.slice(1).map((sample, index) => {
    const before = samples[index] as Sample
    return ((sample.done - before.done) / (sample.at - before.at)) * 1000
  })
}
