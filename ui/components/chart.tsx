// One small line over time, drawn as SVG. The figures it stands for are said in words to who cannot see it.
import { count } from './basics.tsx'

export function Chart({ values, label }: { values: number[]; label: string }) {
  const top = Math.max(1, ...values)
  const points = values.map((value, index) => `${(index / Math.max(1, values.length - 1)) * 100},${(38 - (value / top) * 36).toFixed(2)}`)
  return (
    <svg
      className="chart"
      viewBox="0 0 100 40"
      preserveAspectRatio="none"
      role="img"
      aria-label={`${label}: now ${count(Math.round(values.at(-1) ?? 0))}, at most ${count(Math.round(top))}`}
    >
      <polygon className="chart-area" points={`0,40 ${points.join(' ')} 100,40`} />
      <polyline className="chart-line" points={points.join(' ')} />
    </svg>
  )
}
