with

-- the register has no content of its own: all values come from the source contracts
contracted_tables as (

    {{ contracted_tables() }}

),

final as (

    select
        {{ surrogate_key(['asset_name']) }} as information_asset_key,
        asset_name,
        system_name,
        system_description,
        table_name,
        asset_description,
        location_kind,
        information_asset_owner,
        data_owner,
        purpose,
        lawful_basis,
        special_category_basis,
        case
            when identifier_column_count > 0 then 'identifier'
            when special_category_column_count > 0 then 'special_category'
            when personal_column_count > 0 then 'personal'
            else 'none'
        end as classification,
        none_column_count,
        personal_column_count,
        special_category_column_count,
        identifier_column_count,
        retention,
        retained_from as retained_from_column,
        sharing,
        load_mode,
        schedule,
        time_zone,
        publish_sets,
        report_readers
    from contracted_tables

)

select * from final
