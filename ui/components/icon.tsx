// The icons, drawn here on a 16 grid in the colour of their text. Always beside a word, so always hidden from screen readers.
const paths = {
  check: 'M3 8.5l3.2 3.2L13 5',
  checked: 'M8 1.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM5 8.2l2.1 2.1L11 6.4',
  turning: 'M13.5 8A5.5 5.5 0 114 4.1M4 1.5v3h3',
  behind: 'M8 1.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM8 4.5V8l2.5 1.5',
  paused: 'M8 1.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM6.3 5.5v5M9.7 5.5v5',
  failing: 'M8 1.8l6.6 11.7H1.4zM8 6v3.6M8 11.4v.2',
  unknown: 'M8 1.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM6.2 6.2A1.9 1.9 0 118.6 8c-.5.2-.6.5-.6 1M8 11.2v.2',
  none: 'M8 1.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM5 8h6',
  held: 'M4 7.5h8v6H4zM5.5 7.5V5.2a2.5 2.5 0 015 0v2.3',
  info: 'M8 1.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM8 7.2v4M8 4.8V5',
  chevron: 'M6 3.5L10.5 8 6 12.5',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  outside: 'M6.5 3.5h-3v9h9v-3M9.5 2.5h4v4M13 3L7.5 8.5'
} as const

export type IconName = keyof typeof paths

export function Icon({ name, className = '' }: { name: IconName; className?: string }) {
  return (
    <svg
      className={`icon ${className}`}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={paths[name]} />
    </svg>
  )
}
