// A thread of the expression process that goes on while an expression keeps the main one busy: it ends the whole process when that
// needs more memory than it may, native memory included, which no limit of a heap counts; or when nobody waits for it any more.
import { workerData } from 'node:worker_threads'

const { rssLimit, parent } = workerData as { rssLimit: number; parent: number }

/** Filling memory takes longer: 20 ms are some 100 MB. */
setInterval(() => {
  if (process.memoryUsage.rss() > rssLimit || process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
}, 20)
