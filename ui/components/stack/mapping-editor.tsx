// Row by row what goes where: a field or column as it is, or an expression over the whole record, with what stands in for nothing.
import { useId } from 'react'
import { Button } from '../basics.tsx'
import { Choice, SelectField, TextField } from '../field.tsx'
import { type ColumnType, columnTypes, type DraftRow, draftRow, rowErrors } from './mapping-rows.ts'

export type Named = readonly [value: string, label: string]

interface Props {
  direction: 'outbound' | 'inbound'
  /** Fields of the entry, or columns of the table. */
  sources: readonly Named[]
  /** null: any name, a column is made of it. */
  targets: readonly Named[] | null
  rows: DraftRow[]
  onRows: (rows: DraftRow[]) => void
  error: unknown
}

const expressionOption = '\u0000expression'

export function MappingEditor({ direction, sources, targets, rows, onRows, error }: Props) {
  const change = (id: number, changes: Partial<DraftRow>) => onRows(rows.map(row => (row.id === id ? { ...row, ...changes } : row)))
  return (
    <fieldset className="stack-tight">
      <legend className="field-label">Mapping</legend>
      <div className="mapping">
        {rows.map((row, index) => (
          <Row
            key={row.id}
            row={row}
            number={index + 1}
            direction={direction}
            sources={sources}
            targets={targets}
            errors={rowErrors(error, rows, row)}
            onChange={changes => change(row.id, changes)}
            onRemove={() => onRows(rows.filter(each => each.id !== row.id))}
          />
        ))}
      </div>
      <div className="row">
        <Button onClick={() => onRows([...rows, draftRow()])}>Add row</Button>
        <Button onClick={() => onRows([...rows, draftRow({ expression: '' })])}>Add expression</Button>
      </div>
    </fieldset>
  )
}

interface RowProps extends Pick<Props, 'direction' | 'sources' | 'targets'> {
  row: DraftRow
  number: number
  errors: string[]
  onChange: (changes: Partial<DraftRow>) => void
  onRemove: () => void
}

function Row({ row, number, direction, sources, targets, errors, onChange, onRemove }: RowProps) {
  const what = direction === 'outbound' ? 'field' : 'column'
  const errorId = useId()
  const problems = errors.length > 0 ? { 'aria-invalid': true, 'aria-describedby': errorId } : {}
  return (
    // A group, so that each of its controls is heard with the row's number.
    // oxlint-disable-next-line jsx-a11y/prefer-tag-over-role
    <div className="mapping-row" role="group" aria-label={`Row ${number}`}>
      <SelectField
        label="From"
        value={row.computed ? expressionOption : row.from}
        onValue={value =>
          onChange(
            value === expressionOption ? { computed: true } : { computed: false, from: value, ...(row.to ? {} : { to: named(value) }) }
          )
        }
        options={[['', `Choose a ${what}…`], ...withCurrent(sources, row.computed ? '' : row.from), [expressionOption, 'An expression']]}
        {...(row.computed ? {} : problems)}
      />
      {targets ? (
        <SelectField
          label="To"
          value={row.to}
          onValue={to => onChange({ to })}
          options={[['', 'Choose a field…'], ...withCurrent(targets, row.to)]}
        />
      ) : (
        <TextField label="To column" value={row.to} onValue={to => onChange({ to })} />
      )}
      <TextField label="If empty" value={row.otherwise} onValue={otherwise => onChange({ otherwise })} placeholder="leave empty" />
      <div className="mapping-end">
        <Choice type="checkbox" label="Required" checked={row.required} onValue={required => onChange({ required })} />
        <Button look="plain" aria-label={`Remove row ${number}`} onClick={onRemove}>
          Remove
        </Button>
      </div>
      {row.computed ? (
        <>
          <Expression row={row} what={what} onChange={onChange} problems={problems} />
          {direction === 'outbound' ? (
            <SelectField
              label="Column type"
              value={row.type}
              onValue={type => onChange({ type: type as ColumnType })}
              options={columnTypes.map(type => [type, type])}
            />
          ) : null}
        </>
      ) : null}
      {errors.length > 0 ? (
        <p className="field-error mapping-wide" id={errorId}>
          {errors.join(' ')}
        </p>
      ) : null}
    </div>
  )
}

function Expression({ row, what, onChange, problems }: Pick<RowProps, 'row' | 'onChange'> & { what: string; problems: object }) {
  const id = useId()
  return (
    <div className="field mapping-expression">
      <label className="field-label" htmlFor={id}>
        Expression
      </label>
      <textarea
        id={id}
        className="input code"
        rows={2}
        spellCheck={false}
        value={row.expression}
        onChange={event => onChange({ expression: event.target.value })}
        {...problems}
      />
      <span className="meta">
        JSONata over the record; every {what} stands under its own name. Each record must give the same value every time.
      </span>
    </div>
  )
}

/** A path through groups is not in the list, and must not be lost because of that. */
function withCurrent(options: readonly Named[], current: string): readonly Named[] {
  return current === '' || options.some(([value]) => value === current) ? options : [...options, [current, current]]
}

/** 'seo.title' goes to a column 'seo_title'. */
function named(source: string): string {
  return source.replaceAll('.', '_')
}
