// The sandbox's time. Everything that expires, waits or is limited asks this clock, so that a test or the control API can
// move hours forward at once instead of sleeping. It knows nothing of what waits on it.

export interface Clock {
  /** Milliseconds since the epoch, in sandbox time. */
  now(): number
  /** `now()` as the wire writes it. */
  iso(): string
  /** Moves time forward; what falls due is started, in order of its due time, before this returns. */
  advance(milliseconds: number): void
  /** Sandbox seconds per real second, 1 unless set. */
  readonly speed: number
  setSpeed(speed: number): void
  /** Starts `run` once, that many sandbox milliseconds from now. Returns the cancellation. */
  after(milliseconds: number, run: () => void): () => void
  /** Drops everything that waits. */
  close(): void
}

interface Waiting {
  due: number
  run: () => void
}

/** Node clamps longer timers to 1 ms, so a far due time is approached in steps of at most a day. */
const longestTimer = 86_400_000

export function createClock(start: number = Date.now()): Clock {
  let anchorReal = Date.now()
  let anchor = start
  let speed = 1
  let timer: NodeJS.Timeout | undefined
  const waiting = new Set<Waiting>()

  const now = () => anchor + (Date.now() - anchorReal) * speed
  const rebase = (to: number) => {
    anchor = to
    anchorReal = Date.now()
  }

  const runDue = () => {
    for (;;) {
      const due = [...waiting].filter(item => item.due <= now()).sort((a, b) => a.due - b.due)
      if (due.length === 0) break
      for (const item of due) if (waiting.delete(item)) item.run()
    }
    arm()
  }

  const arm = () => {
    clearTimeout(timer)
    timer = undefined
    let earliest = Infinity
    for (const item of waiting) earliest = Math.min(earliest, item.due)
    if (earliest === Infinity) return
    timer = setTimeout(runDue, Math.min(longestTimer, Math.max(0, Math.ceil((earliest - now()) / speed))))
    // A waiting retry alone must not keep a stopped sandbox's process alive.
    timer.unref()
  }

  return {
    now: () => Math.floor(now()),
    iso: () => new Date(now()).toISOString(),
    advance(milliseconds) {
      rebase(now() + milliseconds)
      runDue()
    },
    get speed() {
      return speed
    },
    setSpeed(next) {
      if (!(next > 0)) throw new RangeError(`clock speed must be above 0, not ${next}`)
      rebase(now())
      speed = next
      arm()
    },
    after(milliseconds, run) {
      const item = { due: now() + milliseconds, run }
      waiting.add(item)
      arm()
      return () => {
        if (waiting.delete(item)) arm()
      }
    },
    close() {
      waiting.clear()
      clearTimeout(timer)
    }
  }
}
