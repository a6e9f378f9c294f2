with

dim_information_assets as (

    select * from {{ ref('dim_information_assets') }}

),

final as (

    select
        information_asset_key,
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
        classification,
        none_column_count,
        personal_column_count,
        special_category_column_count,
        identifier_column_count,
        retention,
        retained_from_column,
        sharing,
        load_mode,
        schedule,
        time_zone,
        publish_sets,
        report_readers
    from dim_information_assets

)

select * from final
