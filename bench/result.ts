// What a case says, and how it is printed: one JSON object a line, or a table for people. Knows no case.

export interface Result {
  case: string
  value: number
  unit: string
  /** What the value is read against: measured in the same run on the same machine, or a known limit. */
  beside: { name: string; value: number }
  /** value / beside.value; null where that says nothing. */
  ratio: number | null
  /** Peak resident memory of the server's process; null where the system does not tell. */
  rssMiB: number | null
}

export interface Case {
  name: string
  about: string
  /** `profileDirectory`: where the server's process leaves its CPU profile. */
  run(options: { profileDirectory: string | undefined }): Promise<Result[]>
}

export function result(name: string, value: number, unit: string, beside: Result['beside'], rssMiB: number | null): Result {
  const ratio = beside.value === 0 ? null : rounded(value / beside.value)
  return { case: name, value: rounded(value), unit, beside: { name: beside.name, value: rounded(beside.value) }, ratio, rssMiB }
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Nearest rank. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const found = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
  if (found === undefined) throw new Error('There is nothing to take a quantile of.')
  return found
}

export function tableLine({ case: name, value, unit, beside, ratio, rssMiB }: Result): string {
  const cells = [
    name.padEnd(26),
    `${value} ${unit}`.padStart(18),
    `  beside ${beside.value}`.padEnd(18),
    (ratio === null ? '' : `x ${ratio}`).padEnd(10),
    (rssMiB === null ? '' : `${rssMiB} MiB`).padStart(9),
    `  ${beside.name}`
  ]
  return cells.join('')
}

/** Three figures that mean something, more where there are. */
function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
