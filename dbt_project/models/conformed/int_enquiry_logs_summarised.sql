with

enquiry_logs as (

    select * from {{ ref('stg_confirm__enquiry_logs') }}

),

enquiry_statuses as (

    select * from {{ ref('stg_confirm__enquiry_statuses') }}

),

-- entries are ordered by number, because times are typed in and may be before the time of the previous entry
entries as (

    select
        enquiry_logs.enquiry_number,
        enquiry_logs.log_number,
        enquiry_logs.status_code,
        coalesce(enquiry_logs.effective_at, enquiry_logs.logged_at) as effective_at,
        coalesce(enquiry_statuses.is_outstanding, true) as is_outstanding,
        row_number() over enquiry_entries as entry_number,
        lag(coalesce(enquiry_statuses.is_outstanding, true)) over enquiry_entries as was_outstanding
    from enquiry_logs
    left join enquiry_statuses
        on enquiry_logs.status_code = enquiry_statuses.status_code
    window enquiry_entries as (partition by enquiry_logs.enquiry_number order by enquiry_logs.log_number)

),

latest as (

    select
        enquiry_number,
        max(entry_number) as latest_entry_number,
        coalesce(max(entry_number) filter (where is_outstanding), 0) as latest_outstanding_entry_number
    from entries
    group by enquiry_number

),

final as (

    select
        entries.enquiry_number,
        max(entries.log_number) as latest_log_number,
        max(entries.status_code) filter (
            where entries.entry_number = latest.latest_entry_number
        ) as latest_status_code,
        count(*) filter (where entries.is_outstanding and not entries.was_outstanding)::integer as reopened_count,
        bool_or(entries.is_outstanding) filter (
            where entries.entry_number = latest.latest_entry_number
        ) as is_open,
        max(entries.effective_at) filter (where entries.entry_number = 2) as first_responded_at,
        -- the entry after the last outstanding entry closed the enquiry finally
        max(entries.effective_at) filter (
            where entries.entry_number = latest.latest_outstanding_entry_number + 1
        ) as closed_at
    from entries
    inner join latest
        on entries.enquiry_number = latest.enquiry_number
    group by entries.enquiry_number

)

select * from final
