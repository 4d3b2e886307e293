package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func outdoors() row {
	return row{"Outdoors", []cog.Builder[dashboard.Panel]{
		graph("Temperature outdoors", "celsius", 12,
			query{last("netatmo_temperature_celsius", outside), byName},
			query{last("netatmo_temperature_min_celsius", outside), byName + " lowest of the day so far"},
			query{last("netatmo_temperature_max_celsius", outside), byName + " highest of the day so far"}).
			Decimals(1),
		graph("Humidity outdoors", "percent", 6, query{last("netatmo_humidity_percent", outside), byName}),
		timeline("Trend of the temperature", 6, trend.words(), query{last("netatmo_temperature_trend"), byName}),
	}}
}

func rain() row {
	return row{"Rain", []cog.Builder[dashboard.Panel]{
		graph("Rain of the last hour", "lengthmm", 8, query{rainOfHour, byName}).Decimals(1).Min(0).FillOpacity(40),
		graph("Rain of the day so far", "lengthmm", 8, query{last("netatmo_rain_day_mm"), byName}).Decimals(1).Min(0).FillOpacity(40).
			Description("Netatmo's own sum, which restarts at midnight; not part of the history."),
		days(graph("Rain per day", "lengthmm", 8, query{rainOfDay, byName})).Decimals(1),
	}}
}

// days draws the amounts of the last 30 days as bars.
func days(p *timeseries.PanelBuilder) *timeseries.PanelBuilder {
	return p.Min(0).
		TimeFrom("30d").Interval("1d").
		DrawStyle(common.GraphDrawStyleBars).
		BarAlignment(common.BarAlignmentAfter).
		FillOpacity(60)
}

// bearings draws directions as points: a line would cross the south whenever
// the wind turns across the north.
func bearings(p *timeseries.PanelBuilder) *timeseries.PanelBuilder {
	return p.Min(0).Max(360).
		DrawStyle(common.GraphDrawStylePoints).PointSize(4).
		Description("Where the wind comes from: 0° and 360° are north, 90° is east, 180° south, 270° west.")
}

func wind() row {
	return row{"Wind", []cog.Builder[dashboard.Panel]{
		tile("Direction", "degree", 8, query{last("netatmo_wind_direction_deg"), byName}).Mappings(compass.words()),
		tile("Strongest wind today", "velocitykmh", 8, query{last("netatmo_wind_speed_max_km_per_hour"), byName}),
		tile("From", "degree", 8, query{last("netatmo_wind_direction_max_deg"), byName}).Mappings(compass.words()),
		graph("Wind and gusts", "velocitykmh", 12,
			query{last("netatmo_wind_speed_km_per_hour"), byName},
			query{last("netatmo_gust_speed_km_per_hour"), byName + " gusts"}).
			Min(0),
		bearings(graph("Direction of wind and gusts", "degree", 12,
			query{last("netatmo_wind_direction_deg"), byName},
			query{last("netatmo_gust_direction_deg"), byName + " gusts"})),
	}}
}

func pressure() row {
	return row{"Pressure", []cog.Builder[dashboard.Panel]{
		graph("Pressure, reduced to sea level", "pressurehpa", 10, query{last("netatmo_pressure_hPa"), byName}).Decimals(1),
		graph("Pressure at the station", "pressurehpa", 8, query{last("netatmo_absolute_pressure_hPa"), byName}).Decimals(1),
		timeline("Trend of the pressure", 6, trend.words(), query{last("netatmo_pressure_trend"), byName}),
	}}
}
