// The demo's lines: what is being done, and since when. In --json they go to stderr, so that stdout is the one JSON line.

export interface Progress {
  /** A line that stays. */
  say(text: string): void
  /** A line that is said again only when its text changes, at most once a second. */
  now(text: string): void
  seconds(): number
}

export function createProgress(write: (line: string) => void): Progress {
  const startedAt = performance.now()
  let last = ''
  let lastAt = 0
  const seconds = () => (performance.now() - startedAt) / 1000
  const say = (text: string) => write(`${seconds().toFixed(1).padStart(6)} s  ${text}`)
  return {
    say,
    now(text) {
      if (text === last || performance.now() - lastAt < 1000) return
      last = text
      lastAt = performance.now()
      say(`        ${text}`)
    },
    seconds
  }
}
