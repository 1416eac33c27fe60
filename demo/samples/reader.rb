require 'json'

module Gauge
  class Reader
    attr_reader :values

    def initialize(path)
      @values = JSON.parse(File.read(path)).map { |row| row['value'] }
    end

    def mean
      return 0 if values.empty?
      values.sum.to_f / values.length
    end
  end
end

puts Gauge::Reader.new(ARGV.first).mean if __FILE__ == $PROGRAM_NAME
